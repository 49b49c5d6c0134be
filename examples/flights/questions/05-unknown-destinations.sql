-- Which destinations are not in the table of airports?
SELECT f.dest, count(*) AS flights
FROM flights f
WHERE NOT EXISTS (SELECT 1 FROM airports a WHERE a.faa = f.dest)
GROUP BY f.dest
ORDER BY flights DESC, f.dest;
