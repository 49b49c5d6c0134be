-- Which share of its flights did each airline cancel?
SELECT a.name,
       round(100.0 * sum(CASE WHEN f.dep_time IS NULL THEN 1 ELSE 0 END) / count(*), 3) AS percent_cancelled
FROM flights f JOIN airlines a ON a.carrier = f.carrier
GROUP BY a.name
ORDER BY percent_cancelled DESC, a.name;
