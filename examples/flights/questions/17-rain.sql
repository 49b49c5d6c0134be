-- Does rain delay departures?
SELECT CASE WHEN w.precip IS NULL THEN 'unknown' WHEN w.precip > 0 THEN 'rain' ELSE 'dry' END AS weather,
       count(*) AS flights, round(avg(f.dep_delay), 2) AS mean_delay
FROM flights f
LEFT JOIN weather w ON w.origin = f.origin AND w.year = f.year AND w.month = f.month AND w.day = f.day AND w.hour = f.hour
GROUP BY 1
ORDER BY 1;
