-- SQLite has no ROLLUP.
SELECT * FROM (
  SELECT origin, CASE WHEN month <= 3 THEN 1 WHEN month <= 6 THEN 2 WHEN month <= 9 THEN 3 ELSE 4 END AS quarter, count(*) AS flights FROM flights GROUP BY origin, CASE WHEN month <= 3 THEN 1 WHEN month <= 6 THEN 2 WHEN month <= 9 THEN 3 ELSE 4 END
  UNION ALL SELECT origin, NULL, count(*) FROM flights GROUP BY origin
  UNION ALL SELECT NULL, NULL, count(*) FROM flights
)
ORDER BY origin NULLS LAST, quarter NULLS LAST;
