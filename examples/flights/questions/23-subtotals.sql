-- Flights by airport and quarter, with subtotals.
SELECT origin, CASE WHEN month <= 3 THEN 1 WHEN month <= 6 THEN 2 WHEN month <= 9 THEN 3 ELSE 4 END AS quarter, count(*) AS flights
FROM flights
GROUP BY ROLLUP (origin, CASE WHEN month <= 3 THEN 1 WHEN month <= 6 THEN 2 WHEN month <= 9 THEN 3 ELSE 4 END)
ORDER BY origin NULLS LAST, quarter NULLS LAST;
