-- How do the miles flown add up over the year?
SELECT month, sum(distance) AS miles,
       sum(sum(distance)) OVER (ORDER BY month) AS miles_so_far
FROM flights
WHERE air_time IS NOT NULL
GROUP BY month
ORDER BY month;
