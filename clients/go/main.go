// CairnDB through Go's database/sql and lib/pq: values, prepared statements, transactions, COPY, notifications, errors.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/lib/pq"
)

func check(holds bool, what ...any) {
	if !holds {
		panic(fmt.Sprint(what...))
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	host, port, _ := strings.Cut(os.Getenv("CAIRN_TCP"), ":")
	source := fmt.Sprintf("host=%s port=%s user=cairn dbname=cairn sslmode=disable password='%s'", host, port, os.Getenv("CAIRN_TCP_PASSWORD"))
	db := must(sql.Open("postgres", source))
	defer db.Close()
	must(db.Exec(`CREATE TABLE go_values (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n numeric(12,3), at timestamptz, a int[], texts text[], t text, b bytea, ok boolean, j jsonb)`))
	at := time.Date(2020, 1, 2, 3, 4, 5, 678000000, time.UTC)
	var id int
	row := db.QueryRow(`INSERT INTO go_values (n, at, a, texts, t, b, ok, j) VALUES ($1,$2,$3,$4,$5,$6,$7,$8) RETURNING id`,
		"1.500", at, pq.Array([]int64{1, 2}), pq.Array([]string{"a", `b"c`}), "grün\n", []byte{0, 255}, true, `{"a": [1]}`)
	if err := row.Scan(&id); err != nil {
		panic(err)
	}
	var n, text, json string
	var back time.Time
	var numbers pq.Int64Array
	var texts pq.StringArray
	var bytes []byte
	var ok bool
	row = db.QueryRow(`SELECT n, at, a, texts, t, b, ok, j FROM go_values WHERE id = ANY($1)`, pq.Array([]int64{int64(id), 99}))
	if err := row.Scan(&n, &back, &numbers, &texts, &text, &bytes, &ok, &json); err != nil {
		panic(err)
	}
	check(n == "1.500" && back.Equal(at) && numbers[1] == 2 && texts[1] == `b"c` && text == "grün\n" && bytes[1] == 255 && ok && json == `{"a": [1]}`,
		n, back, numbers, texts, text, bytes, ok, json)
	prepared := must(db.Prepare(`SELECT $1::int + id FROM go_values WHERE t LIKE $2`))
	var sum int
	if err := prepared.QueryRow(41, "gr%").Scan(&sum); err != nil || sum != 42 {
		panic(fmt.Sprint(sum, err))
	}
	columns := must(must(db.Query(`SELECT id, n, at FROM go_values`)).ColumnTypes())
	check(columns[1].DatabaseTypeName() == "NUMERIC" && columns[2].DatabaseTypeName() == "TIMESTAMPTZ", columns[1].DatabaseTypeName())

	must(db.Exec(`CREATE TABLE go_copy (id int PRIMARY KEY, t text)`))
	tx := must(db.Begin())
	copied := must(tx.Prepare(pq.CopyIn("go_copy", "id", "t")))
	for n := 0; n < 1000; n++ {
		must(copied.Exec(n, fmt.Sprintf("row\t%d", n)))
	}
	must(copied.Exec())
	if err := copied.Close(); err != nil {
		panic(err)
	}
	if err := tx.Commit(); err != nil {
		panic(err)
	}
	var count int
	if err := db.QueryRow(`SELECT count(*) FROM go_copy WHERE t LIKE E'row\t%'`).Scan(&count); err != nil || count != 1000 {
		panic(fmt.Sprint(count, err))
	}

	tx = must(db.BeginTx(context.Background(), &sql.TxOptions{Isolation: sql.LevelSerializable}))
	must(tx.Exec(`DELETE FROM go_copy`))
	_, err := tx.Exec(`INSERT INTO go_copy VALUES (1, 'a'), (1, 'b')`)
	var told *pq.Error
	check(errors.As(err, &told) && told.Code == "23505" && told.Constraint == "go_copy_pkey", err)
	tx.Rollback()
	limited, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	_, err = db.ExecContext(limited, `SELECT pg_sleep(600)`)
	cancel()
	check(err != nil, "no timeout")
	if err := db.QueryRow(`SELECT count(*) FROM go_copy`).Scan(&count); err != nil || count != 1000 {
		panic(fmt.Sprint(count, err))
	}

	listener := pq.NewListener(source, time.Second, time.Minute, nil)
	if err := listener.Listen("go_news"); err != nil {
		panic(err)
	}
	must(db.Exec(`SELECT pg_notify('go_news', $1)`, "hello"))
	select {
	case message := <-listener.Notify:
		check(message.Extra == "hello", message)
	case <-time.After(30 * time.Second):
		panic("no message")
	}
	listener.Close()
	fmt.Println("Go lib/pq: values, prepared statements, COPY, transactions, notifications, errors")
}
