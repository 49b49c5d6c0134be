// CairnDB through pgjdbc: values, batches, server-side prepared statements, cursors, transactions, COPY, metadata, errors.

import java.io.StringReader;
import java.math.BigDecimal;
import java.sql.*;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.UUID;
import org.postgresql.PGConnection;
import org.postgresql.util.PSQLException;

public class Jdbc {
    static void check(boolean holds, Object what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    static Connection connect() throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", "cairn");
        properties.setProperty("password", System.getenv("CAIRN_TCP_PASSWORD"));
        properties.setProperty("prepareThreshold", "2");
        properties.setProperty("ApplicationName", "jdbc program");
        return DriverManager.getConnection("jdbc:postgresql://" + System.getenv("CAIRN_TCP") + "/cairn", properties);
    }

    static void values(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("CREATE TABLE jd (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n numeric(12,3), d date, at timestamptz, u uuid,"
                + " b bytea, f float8, t text, a int[], j jsonb, ok boolean, big bigint)");
        }
        String sql = "INSERT INTO jd (n, d, at, u, b, f, t, a, j, ok, big) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?::jsonb, ?, ?)";
        OffsetDateTime at = OffsetDateTime.of(2020, 1, 2, 3, 4, 5, 678_000_000, ZoneOffset.UTC);
        try (PreparedStatement insert = connection.prepareStatement(sql, Statement.RETURN_GENERATED_KEYS)) {
            // From the third execution on the values are binary.
            for (int n = 1; n <= 6; n++) {
                insert.setBigDecimal(1, new BigDecimal("1.500"));
                insert.setObject(2, LocalDate.of(2020, 2, 29));
                insert.setObject(3, at);
                insert.setObject(4, new UUID(0, n));
                insert.setBytes(5, new byte[] {0, (byte) 255});
                insert.setDouble(6, Double.POSITIVE_INFINITY);
                insert.setString(7, "grün\n");
                insert.setArray(8, connection.createArrayOf("int4", new Integer[] {n, null}));
                insert.setString(9, "{\"n\": " + n + "}");
                insert.setBoolean(10, n % 2 == 0);
                insert.setLong(11, Long.MAX_VALUE);
                insert.executeUpdate();
                try (ResultSet keys = insert.getGeneratedKeys()) {
                    check(keys.next() && keys.getInt("id") == n, "the key of row " + n);
                }
            }
        }
        try (PreparedStatement select = connection.prepareStatement("SELECT * FROM jd WHERE id = ?")) {
            for (int n = 1; n <= 6; n++) {
                select.setInt(1, n);
                try (ResultSet row = select.executeQuery()) {
                    check(row.next(), n);
                    check(row.getBigDecimal("n").equals(new BigDecimal("1.500")), row.getBigDecimal("n"));
                    check(row.getObject("d", LocalDate.class).equals(LocalDate.of(2020, 2, 29)), "d");
                    check(row.getObject("at", OffsetDateTime.class).isEqual(at), row.getObject("at", OffsetDateTime.class));
                    check(row.getObject("u").equals(new UUID(0, n)), "u");
                    check(Arrays.equals(row.getBytes("b"), new byte[] {0, (byte) 255}), "b");
                    check(Double.isInfinite(row.getDouble("f")), "f");
                    check(row.getString("t").equals("grün\n"), "t");
                    check(Arrays.equals((Integer[]) row.getArray("a").getArray(), new Integer[] {n, null}), "a");
                    check(row.getString("j").equals("{\"n\": " + n + "}"), "j");
                    check(row.getBoolean("ok") == (n % 2 == 0) && row.getLong("big") == Long.MAX_VALUE, "ok, big");
                }
            }
        }
    }

    static void batches(Connection connection) throws Exception {
        try (Statement statement = connection.createStatement()) {
            statement.execute("CREATE TABLE jd_many (id int PRIMARY KEY, t text)");
        }
        connection.setAutoCommit(false);
        try (PreparedStatement insert = connection.prepareStatement("INSERT INTO jd_many VALUES (?, ?)")) {
            for (int n = 0; n < 2000; n++) {
                insert.setInt(1, n);
                insert.setString(2, "row " + n);
                insert.addBatch();
            }
            check(Arrays.stream(insert.executeBatch()).sum() == 2000, "a batch");
        }
        connection.commit();
        // A cursor gives some rows at a time.
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(100);
            long sum = 0;
            try (ResultSet rows = statement.executeQuery("SELECT id FROM jd_many")) {
                while (rows.next()) {
                    sum += rows.getInt(1);
                }
            }
            check(sum == 1999000, sum);
        }
        connection.commit();
        connection.setAutoCommit(true);
        var copy = connection.unwrap(PGConnection.class).getCopyAPI();
        check(copy.copyIn("COPY jd_many FROM STDIN", new StringReader("5000\tfive\n5001\t\\N\n")) == 2, "COPY");
        var out = new java.io.StringWriter();
        copy.copyOut("COPY (SELECT id FROM jd_many WHERE id >= 5000 ORDER BY id) TO STDOUT (FORMAT csv)", out);
        check(out.toString().equals("5000\n5001\n"), out);
    }

    static void transactions(Connection connection) throws SQLException {
        connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.executeUpdate("INSERT INTO jd_many VALUES (6000, 'kept')");
            Savepoint savepoint = connection.setSavepoint();
            try {
                statement.executeUpdate("INSERT INTO jd_many VALUES (1, 'again')");
                check(false, "no error");
            } catch (PSQLException error) {
                check(error.getSQLState().equals("23505"), error);
                check(error.getServerErrorMessage().getConstraint().equals("jd_many_pkey"), error);
                connection.rollback(savepoint);
            }
            connection.commit();
            try (ResultSet rows = statement.executeQuery("SELECT count(*) FROM jd_many WHERE id = 6000")) {
                check(rows.next() && rows.getInt(1) == 1, "what came before the savepoint");
            }
            connection.commit();
        }
        connection.setAutoCommit(true);
        try (Statement statement = connection.createStatement()) {
            statement.setQueryTimeout(1);
            statement.execute("SELECT pg_sleep(600)");
            check(false, "no timeout");
        } catch (SQLException error) {
            check(error.getSQLState().equals("57014"), error);
        }
    }

    static void metadata(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("CREATE TABLE jd_child (id serial PRIMARY KEY, many_id int NOT NULL REFERENCES jd_many ON DELETE CASCADE, v varchar(20) DEFAULT 'x')");
            statement.execute("CREATE INDEX jd_child_v ON jd_child (v)");
            statement.execute("COMMENT ON COLUMN jd_child.v IS 'a note'");
        }
        DatabaseMetaData data = connection.getMetaData();
        check(data.getDatabaseProductName().equals("PostgreSQL"), data.getDatabaseProductName());
        List<String> found = new ArrayList<>();
        try (ResultSet rows = data.getColumns(null, "public", "jd_child", "%")) {
            while (rows.next()) {
                found.add(rows.getString("COLUMN_NAME") + " " + rows.getString("TYPE_NAME") + " " + rows.getString("IS_NULLABLE")
                    + " " + rows.getString("REMARKS"));
            }
        }
        check(found.equals(List.of("id serial NO null", "many_id int4 NO null", "v varchar YES a note")), found);
        try (ResultSet rows = data.getPrimaryKeys(null, "public", "jd_child")) {
            check(rows.next() && rows.getString("PK_NAME").equals("jd_child_pkey"), "the primary key");
        }
        try (ResultSet rows = data.getImportedKeys(null, "public", "jd_child")) {
            check(rows.next() && rows.getString("PKTABLE_NAME").equals("jd_many")
                && rows.getShort("DELETE_RULE") == DatabaseMetaData.importedKeyCascade, "the foreign key");
        }
        List<String> indexes = new ArrayList<>();
        try (ResultSet rows = data.getIndexInfo(null, "public", "jd_child", false, false)) {
            while (rows.next()) {
                indexes.add(rows.getString("INDEX_NAME") + " " + rows.getString("COLUMN_NAME"));
            }
        }
        check(indexes.equals(List.of("jd_child_pkey id", "jd_child_v v")), indexes);
        try (ResultSet rows = data.getTables(null, null, "jd%", new String[] {"TABLE"})) {
            int count = 0;
            while (rows.next()) {
                count++;
            }
            check(count == 3, count);
        }
        for (ResultSet rows : new ResultSet[] {
                data.getTypeInfo(), data.getSchemas(), data.getCatalogs(), data.getTableTypes(), data.getExportedKeys(null, "public", "jd_many"),
                data.getProcedures(null, null, null), data.getFunctions(null, null, null), data.getTablePrivileges(null, "public", "jd_child"),
                data.getColumnPrivileges(null, "public", "jd_child", "%"), data.getBestRowIdentifier(null, "public", "jd_child", 0, true),
                data.getUDTs(null, null, "%", null), data.getVersionColumns(null, "public", "jd_child")}) {
            rows.close();
        }
        try (PreparedStatement statement = connection.prepareStatement("SELECT id, v FROM jd_child WHERE v = ?")) {
            ResultSetMetaData columns = statement.getMetaData();
            check(columns.getColumnName(2).equals("v") && columns.getColumnTypeName(2).equals("varchar"), columns.getColumnTypeName(2));
            check(statement.getParameterMetaData().getParameterCount() == 1, "parameters");
        }
    }

    public static void main(String[] arguments) throws Exception {
        try (Connection connection = connect()) {
            values(connection);
            batches(connection);
            transactions(connection);
            metadata(connection);
            check(connection.isValid(10), "valid");
        }
        System.out.println("pgjdbc: values, batches, cursors, COPY, transactions, metadata");
    }
}
