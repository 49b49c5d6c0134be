-- Which destinations do both United and American serve, but not Delta?
SELECT dest FROM flights WHERE carrier = 'UA'
INTERSECT
SELECT dest FROM flights WHERE carrier = 'AA'
EXCEPT
SELECT dest FROM flights WHERE carrier = 'DL'
ORDER BY dest;
