-- On which days was every hour at Newark late on average, and how late was the worst hour?
SELECT month, day, max(late) AS worst_hour
FROM (
  SELECT month, day, hour, avg(dep_delay) AS late
  FROM flights
  WHERE origin = 'EWR'
  GROUP BY month, day, hour
) AS hourly
GROUP BY month, day
HAVING min(late) > 10
ORDER BY month, day;
