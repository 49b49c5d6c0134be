-- How many flights leave in each hour of the day, hours without any included?
WITH RECURSIVE hours(h) AS (
  SELECT 0 UNION ALL SELECT h + 1 FROM hours WHERE h < 23
)
SELECT hours.h AS hour, count(f.flight) AS flights
FROM hours LEFT JOIN flights f ON f.hour = hours.h
GROUP BY hours.h
ORDER BY hours.h;
