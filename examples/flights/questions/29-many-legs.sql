-- Which plane left New York most often on a single day?
SELECT tailnum, month, day, count(*) AS departures
FROM flights
WHERE tailnum IS NOT NULL AND dep_time IS NOT NULL
GROUP BY tailnum, month, day
HAVING count(*) >= 5
ORDER BY departures DESC, tailnum, month, day
LIMIT 20;
