-- How many flights did each airline plan?
SELECT a.name, count(*) AS flights
FROM flights f JOIN airlines a ON a.carrier = f.carrier
GROUP BY a.name
ORDER BY flights DESC, a.name;
