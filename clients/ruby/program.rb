# CairnDB through Ruby's pg: values, prepared statements, COPY, transactions, notifications, errors.
require "pg"

def check(holds, what)
  raise "#{what.inspect}" unless holds
end

connection = PG.connect(host: ENV["CAIRN_HOST"], port: ENV["CAIRN_PORT"], user: "cairn", dbname: "cairn")
connection.type_map_for_results = PG::BasicTypeMapForResults.new(connection)
connection.exec("CREATE TABLE rb (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n numeric(12,3), at timestamptz, a int[], t text, b bytea, ok boolean)")
inserted = connection.exec_params(
  "INSERT INTO rb (n, at, a, t, b, ok) VALUES ($1, $2, $3, $4, $5, $6) RETURNING *",
  ["1.500", "2020-01-02 03:04:05.678+00", "{1,NULL,3}", "grün\n", { value: "\x00\xFF".b, format: 1 }, true]
)
row = inserted[0]
check(row["id"] == 1 && row["n"] == BigDecimal("1.5") && row["a"] == [1, nil, 3] && row["t"] == "grün\n" && row["ok"] == true, row)
check(row["b"] == "\x00\xFF".b && row["at"].to_f.round(3) == 1577934245.678, row)
connection.prepare("by_id", "SELECT t FROM rb WHERE id = ANY($1)")
check(connection.exec_prepared("by_id", ["{1,2}"]).values == [["grün\n"]], "prepared")
described = connection.describe_prepared("by_id")
check(described.paramtype(0) == 1007 && described.ftype(0) == 25, described.paramtype(0))

connection.exec("CREATE TABLE rb_copy (id int PRIMARY KEY, t text)")
encoder = PG::TextEncoder::CopyRow.new
connection.copy_data("COPY rb_copy FROM STDIN", encoder) { 1000.times { |n| connection.put_copy_data([n, "row #{n}"]) } }
rows = []
connection.copy_data("COPY (SELECT t FROM rb_copy WHERE id < 3 ORDER BY id) TO STDOUT", PG::TextDecoder::CopyRow.new) do
  while (copied = connection.get_copy_data)
    rows << copied
  end
end
check(rows == [["row 0"], ["row 1"], ["row 2"]], rows)

begin
  connection.transaction do
    connection.exec("DELETE FROM rb_copy")
    connection.exec("INSERT INTO rb_copy VALUES (1, 'a'), (1, 'b')")
  end
rescue PG::UniqueViolation => error
  check(error.result.error_field(PG::Result::PG_DIAG_CONSTRAINT_NAME) == "rb_copy_pkey", error)
end
check(connection.exec("SELECT count(*) FROM rb_copy").getvalue(0, 0) == 1000, "the transaction was undone")

connection.send_query("SELECT id FROM rb_copy ORDER BY id")
connection.set_single_row_mode
sum = 0
connection.get_result.stream_each { |one| sum += one["id"] }
check(sum == 499500, sum)
connection.get_result

connection.exec("LISTEN rb_news")
PG.connect(host: ENV["CAIRN_HOST"], port: ENV["CAIRN_PORT"], user: "cairn", dbname: "cairn") { |other| other.exec("NOTIFY rb_news, 'hello'") }
heard = nil
connection.wait_for_notify(30) { |_channel, _process, payload| heard = payload }
check(heard == "hello", heard)

host, port = ENV["CAIRN_TCP"].split(":")
begin
  PG.connect(host: host, port: port, user: "cairn", dbname: "cairn", password: "wrong")
  raise "let in"
rescue PG::ConnectionBad => error
  check(error.message.include?("password authentication failed"), error)
end
PG.connect(host: host, port: port, user: "cairn", dbname: "cairn", password: ENV["CAIRN_TCP_PASSWORD"]) do |other|
  check(other.exec("SELECT current_user").getvalue(0, 0) == "cairn", "who")
end
puts "Ruby pg: values, prepared statements, COPY, transactions, notifications, errors"
