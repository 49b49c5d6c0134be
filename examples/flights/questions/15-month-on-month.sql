-- How does each month compare with the month before?
WITH monthly AS (
  SELECT month, count(*) AS flights FROM flights GROUP BY month
)
SELECT month, flights,
       flights - lag(flights) OVER (ORDER BY month) AS more_than_last_month
FROM monthly
ORDER BY month;
