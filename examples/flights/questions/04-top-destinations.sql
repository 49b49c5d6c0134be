-- Where do most flights go? (Some destinations are not in the table of airports.)
SELECT f.dest, a.name, count(*) AS flights
FROM flights f LEFT JOIN airports a ON a.faa = f.dest
GROUP BY f.dest, a.name
ORDER BY flights DESC, f.dest
LIMIT 15;
