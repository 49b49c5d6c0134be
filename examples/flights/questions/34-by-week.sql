-- How many flights were planned in each of the first ten weeks?
SELECT CAST(date_trunc('week', time_hour) AS date) AS week, count(*) AS flights
FROM flights
GROUP BY 1
ORDER BY 1
LIMIT 10;
