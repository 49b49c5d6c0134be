-- When did the first and the last plane leave JFK on each day of January?
SELECT day, min(dep_time) AS first_departure, max(dep_time) AS last_departure
FROM flights
WHERE origin = 'JFK' AND month = 1
GROUP BY day
ORDER BY day;
