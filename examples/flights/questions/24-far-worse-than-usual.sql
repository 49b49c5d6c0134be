-- How many of an airline's flights were more than ten times as late as its average?
SELECT f.carrier, count(*) AS flights
FROM flights f
JOIN (SELECT carrier, avg(dep_delay) AS usual FROM flights GROUP BY carrier) AS c ON c.carrier = f.carrier
WHERE f.dep_delay > 10 * c.usual AND c.usual > 0
GROUP BY f.carrier
ORDER BY f.carrier;
