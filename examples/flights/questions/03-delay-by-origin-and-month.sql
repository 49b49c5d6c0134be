-- How late did flights leave, by airport and month?
SELECT origin, month, round(avg(dep_delay), 2) AS mean_delay, max(dep_delay) AS worst
FROM flights
GROUP BY origin, month
ORDER BY origin, month;
