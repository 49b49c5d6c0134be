//! The command line of `cairn`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::format::Format;

/// The database that needs no directory.
pub(crate) const MEMORY: &str = ":memory:";

/// CairnDB: rows, documents and keys in one crash-safe embedded database.
#[derive(Debug, Parser)]
#[command(
    name = "cairn",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Without SQL: a shell on a terminal, else statements from standard input.\n\
                  Exit status: 0 fine, 1 an error in the work, 2 wrong usage, 3 damage found.\n\n\
                  Examples:\n  \
                  cairn                                   a shell on a database in memory\n  \
                  cairn trips.db                          a shell on the database in trips.db\n  \
                  cairn trips.db \"SELECT count(*) FROM flights\"\n  \
                  cairn import trips.db flights.csv.gz\n  \
                  cairn --format json trips.db -f report.sql"
)]
pub(crate) struct Arguments {
    /// What to do, unless it is to run SQL.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: Run,
}

/// `cairn [DB] [SQL]`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Directory of the database, created if missing; `:memory:` if left out
    #[arg(value_name = "DB")]
    pub(crate) database: Option<PathBuf>,
    /// Statements to run; then exit
    #[arg(value_name = "SQL", conflicts_with = "file")]
    pub(crate) sql: Option<String>,
    /// Run the statements of a file, then exit; `-` is standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// How rows are printed [default: table on a terminal, csv otherwise]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub(crate) format: Option<Format>,
    /// Go on after a failed statement of a file or of the command line, as is always done for standard input;
    /// the exit status is 1 all the same
    #[arg(long)]
    pub(crate) keep_going: bool,
}

/// The subcommands; each has its file in `commands/`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve a database to clients of PostgreSQL, until it is interrupted
    Serve(Serve),
    /// Load files into tables: CSV, JSON lines, Parquet, SQLite databases
    Import(Import),
    /// Write a table or the result of a query to a file or to standard output
    Export(Export),
    /// Read and write the key-value space
    #[command(subcommand)]
    Kv(Kv),
    /// Check every checksum and structure; exit status 3 when there is damage
    Verify(Place),
    /// Put a database of all that is undamaged in the place of a damaged one, which is kept beside
    Repair(Place),
    /// Show sizes, counts and levels
    Stats(Place),
    /// Merge all levels and drop what was deleted
    Compact(Place),
    /// Copy the database, consistent and while it stays open, to a new directory
    Checkpoint(Checkpoint),
}

/// A database that must be there.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Directory of the database
    #[arg(value_name = "DB")]
    pub(crate) database: PathBuf,
}

/// `cairn serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Directory of the database, created if missing; `:memory:` for one that goes with the server
    #[arg(value_name = "DB")]
    pub(crate) database: PathBuf,
    /// Address for PostgreSQL's protocol; needs a password. May be given more than once
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) pg: Vec<std::net::SocketAddr>,
    /// Address for HTTP [default: 127.0.0.1:8080 where neither --pg nor --socket is given]. May be given more than once
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) http: Vec<std::net::SocketAddr>,
    /// Origin whose pages may ask over HTTP, such as https://app.example; `*` for all. May be given more than once
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) http_origin: Vec<String>,
    /// Requests over HTTP in a minute, at most, for each role at each address [default: as many as come]
    #[arg(long, value_name = "N")]
    pub(crate) http_requests_per_minute: Option<u32>,
    /// Directory of the Unix socket [default: that of the database]
    #[arg(long, value_name = "DIR")]
    pub(crate) socket: Option<PathBuf>,
    /// The port in the socket's name
    #[arg(long, value_name = "PORT", default_value_t = 5432)]
    pub(crate) socket_port: u16,
    /// File that holds the password of the user `cairn`, or its SCRAM verifier
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// PEM file of the certificate for TLS, with those up to its authority
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// PEM file of the certificate's key
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,
    /// PEM file of authorities: clients have to show a certificate of one of them; with --hba only where a rule says `cert`
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_client_ca: Option<PathBuf>,
    /// File of rules who may come in how, as in PostgreSQL's pg_hba.conf; nothing else counts then
    #[arg(long, value_name = "FILE", conflicts_with = "tls_only")]
    pub(crate) hba: Option<PathBuf>,
    /// Refuse clients of TCP that do not ask for TLS
    #[arg(long, requires = "tls_certificate")]
    pub(crate) tls_only: bool,
    /// Sessions at once, at most
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) connections: usize,
}

/// `cairn import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Directory of the database, created if missing
    #[arg(value_name = "DB")]
    pub(crate) database: PathBuf,
    /// Files: .csv .tsv .jsonl .ndjson .json .parquet (also .gz .zst), .sqlite .sqlite3 .db
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Table to load into [default: the name of the file]; created when missing
    #[arg(long, value_name = "NAME")]
    pub(crate) table: Option<String>,
    /// What the files are [default: by name and first bytes]
    #[arg(long, value_enum, value_name = "KIND")]
    pub(crate) kind: Option<FileKind>,
    /// Text that stands for NULL in CSV; empty and NA when the table is created, else empty
    #[arg(long, value_name = "TEXT")]
    pub(crate) null: Option<String>,
    /// Separator of CSV fields [default: comma; tab for .tsv]
    #[arg(long, value_name = "CHAR")]
    pub(crate) delimiter: Option<char>,
    /// The CSV files have no header line; columns are called column1, column2 …
    #[arg(long)]
    pub(crate) no_header: bool,
}

/// What a file to import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FileKind {
    /// Comma-separated values
    Csv,
    /// One JSON object per line
    Jsonl,
    /// Apache Parquet
    Parquet,
    /// A SQLite database
    Sqlite,
}

/// `cairn export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Directory of the database
    #[arg(value_name = "DB")]
    pub(crate) database: PathBuf,
    /// A table, or a query (anything with a space in it)
    #[arg(value_name = "TABLE|QUERY")]
    pub(crate) what: String,
    /// File to write; standard output if left out. A name in .gz or .zst is compressed
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Format [default: by the name of the file, else csv]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub(crate) format: Option<ExportFormat>,
    /// Replace a file that is there already
    #[arg(long)]
    pub(crate) overwrite: bool,
}

/// Formats of `cairn export`: those of printing, and Parquet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ExportFormat {
    /// Header line, RFC 4180 quoting, NULL as nothing
    Csv,
    /// One JSON array of objects
    Json,
    /// One JSON object per line
    Jsonl,
    /// Apache Parquet, to a file only
    Parquet,
    /// A Markdown table
    Markdown,
    /// Aligned columns
    Table,
    /// One `column = value` per line
    Line,
}

/// `cairn kv`.
#[derive(Debug, Subcommand)]
pub(crate) enum Kv {
    /// Print the value of a key; exit status 1 when it is not there
    Get(KvGet),
    /// Store a value
    Put(KvPut),
    /// Remove a key
    Delete(KvKey),
    /// Print keys and values in order
    Scan(KvScan),
}

/// How keys and values are written on the command line and printed.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Coding {
    /// Keys and values are hexadecimal digits
    #[arg(long)]
    pub(crate) hex: bool,
}

/// `cairn kv get`.
#[derive(Debug, Args)]
pub(crate) struct KvGet {
    #[command(flatten)]
    pub(crate) key: KvKey,
}

/// A database and a key.
#[derive(Debug, Args)]
pub(crate) struct KvKey {
    /// Directory of the database
    #[arg(value_name = "DB")]
    pub(crate) database: PathBuf,
    /// The key
    #[arg(value_name = "KEY")]
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) coding: Coding,
}

/// `cairn kv put`.
#[derive(Debug, Args)]
pub(crate) struct KvPut {
    #[command(flatten)]
    pub(crate) key: KvKey,
    /// The value; read from standard input if left out
    #[arg(value_name = "VALUE")]
    pub(crate) value: Option<String>,
}

/// `cairn kv scan`.
#[derive(Debug, Args)]
pub(crate) struct KvScan {
    /// Directory of the database
    #[arg(value_name = "DB")]
    pub(crate) database: PathBuf,
    /// Only keys that begin so
    #[arg(value_name = "PREFIX")]
    pub(crate) prefix: Option<String>,
    /// Only keys from here on
    #[arg(long, value_name = "KEY")]
    pub(crate) from: Option<String>,
    /// Only keys before this one
    #[arg(long, value_name = "KEY")]
    pub(crate) to: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Last key first
    #[arg(long)]
    pub(crate) reverse: bool,
    #[command(flatten)]
    pub(crate) coding: Coding,
}

/// `cairn checkpoint`.
#[derive(Debug, Args)]
pub(crate) struct Checkpoint {
    /// Directory of the database
    #[arg(value_name = "DB")]
    pub(crate) database: PathBuf,
    /// Directory for the copy; must not exist
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

#[cfg(test)]
mod tests {
    //! The definition is sound, and the forms of the manual parse.
    #![allow(clippy::unwrap_used)]

    use super::*;
    use clap::CommandFactory;

    #[test]
    fn definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn database_and_sql_need_no_subcommand() {
        let arguments = Arguments::try_parse_from(["cairn", "--format", "csv", "x.db", "SELECT 1"]).unwrap();
        assert!(arguments.command.is_none());
        assert_eq!(arguments.run.sql.as_deref(), Some("SELECT 1"));
        assert_eq!(arguments.run.format, Some(Format::Csv));
    }

    #[test]
    fn subcommands_have_their_own_arguments() {
        let arguments = Arguments::try_parse_from(["cairn", "kv", "put", "x.db", "k", "v", "--hex"]).unwrap();
        let Some(Command::Kv(Kv::Put(put))) = arguments.command else { panic!("not kv put") };
        assert_eq!((put.key.key.as_str(), put.value.as_deref(), put.key.coding.hex), ("k", Some("v"), true));
        assert!(Arguments::try_parse_from(["cairn", "import", "x.db"]).is_err());
    }
}
