-- And wind?
SELECT CASE WHEN w.wind_speed < 5 THEN '1 calm' WHEN w.wind_speed < 15 THEN '2 breeze' WHEN w.wind_speed < 30 THEN '3 windy' ELSE '4 storm' END AS wind,
       count(*) AS flights, count(w.wind_gust) AS with_gusts, round(avg(f.dep_delay), 2) AS mean_delay
FROM flights f
JOIN weather w ON w.origin = f.origin AND w.year = f.year AND w.month = f.month AND w.day = f.day AND w.hour = f.hour
WHERE w.wind_speed IS NOT NULL
GROUP BY 1
ORDER BY 1;
