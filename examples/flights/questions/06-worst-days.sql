-- On which ten days did flights arrive latest on average?
SELECT month, day, count(arr_delay) AS arrived, round(avg(arr_delay), 2) AS mean_delay
FROM flights
GROUP BY month, day
ORDER BY avg(arr_delay) DESC, month, day
LIMIT 10;
