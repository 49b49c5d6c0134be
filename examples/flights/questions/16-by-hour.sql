-- At which hours is one delayed least?
SELECT hour, count(*) AS flights, round(avg(dep_delay), 2) AS mean_delay, min(dep_delay) AS earliest, max(dep_delay) AS latest
FROM flights
WHERE dep_delay IS NOT NULL
GROUP BY hour
HAVING count(*) > 100
ORDER BY mean_delay, hour;
