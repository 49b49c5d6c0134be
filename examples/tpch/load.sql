-- Run from the repository's root, after `cargo xtask tpch --scale 1`, which writes the files.
COPY region FROM 'target/tpch/region.csv' WITH (FORMAT csv, HEADER);
COPY nation FROM 'target/tpch/nation.csv' WITH (FORMAT csv, HEADER);
COPY part FROM 'target/tpch/part.csv' WITH (FORMAT csv, HEADER);
COPY supplier FROM 'target/tpch/supplier.csv' WITH (FORMAT csv, HEADER);
COPY partsupp FROM 'target/tpch/partsupp.csv' WITH (FORMAT csv, HEADER);
COPY customer FROM 'target/tpch/customer.csv' WITH (FORMAT csv, HEADER);
COPY orders FROM 'target/tpch/orders.csv' WITH (FORMAT csv, HEADER);
COPY lineitem FROM 'target/tpch/lineitem.csv' WITH (FORMAT csv, HEADER);
CREATE INDEX lineitem_partkey_idx ON lineitem (l_partkey, l_suppkey);
CREATE INDEX orders_custkey_idx ON orders (o_custkey);
CREATE INDEX partsupp_suppkey_idx ON partsupp (ps_suppkey);
ANALYZE;
