-- Which flights made up most time in the air?
SELECT month, day, carrier, flight, origin, dest, dep_delay, arr_delay, dep_delay - arr_delay AS made_up
FROM flights
WHERE dep_delay IS NOT NULL AND arr_delay IS NOT NULL
ORDER BY made_up DESC, month, day, carrier, flight
LIMIT 10;
