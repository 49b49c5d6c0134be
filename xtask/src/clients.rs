//! `cargo xtask clients [NAME]`: the programs under `clients/`, each of a driver that knows PostgreSQL only, against a server of their
//! own. What a driver needs is installed from its registry, into the target directory.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, bail, ensure};

use crate::cargo::cargo;

/// The programs: a folder's name, and how it is run.
const CLIENTS: &[(&str, Run)] = &[
    ("tokio-postgres", tokio_postgres),
    ("sqlx", sqlx),
    ("diesel", diesel),
    ("python", python),
    ("node", node),
    ("java", java),
    ("go", go),
    ("php", php),
    ("ruby", ruby),
    ("postgresql", postgresql),
    ("pgadmin", pgadmin),
];

/// What runs only where it is named, because it takes half an hour.
const LONG: &[(&str, Run)] = &[("sqlalchemy-suite", sqlalchemy_suite)];

/// The version of SQLAlchemy whose suite is run.
const SQLALCHEMY: &str = "2.1.9";
/// The version of pgAdmin whose queries are asked.
const PGADMIN: &str = "9.18";

/// The programs of `clients/python`.
const PYTHON: [&str; 6] = [
    "psycopg_3.py",
    "psycopg_2.py",
    "asyncpg_program.py",
    "sqlalchemy_program.py",
    "django_program.py",
    "odbc_program.py",
];
/// Those of `clients/node`.
const NODE: [&str; 6] = [
    "node_postgres.js",
    "postgres_js.js",
    "knex_program.js",
    "drizzle_program.js",
    "typeorm_program.js",
    "prisma_program.js",
];

/// What psql is asked to describe.
const DESCRIBED: &[&str] = &[
    "\\d",
    "\\d+ people",
    "\\d+ staff",
    "\\d numbers",
    "\\dt+",
    "\\di+",
    "\\ds+",
    "\\dv+",
    "\\df",
    "\\sf plus",
    "\\sv staff",
    "\\dT+",
    "\\dD",
    "\\dn+",
    "\\du",
    "\\dp",
    "\\l",
    "\\dx",
    "\\dO",
    "\\db",
    "\\dy",
    "\\dP",
    "\\dd",
    "\\da",
    "\\do",
    "\\dC",
    "\\dL",
    "\\dconfig",
];

type Run = fn(&Path, &Server) -> anyhow::Result<()>;

const PASSWORD: &str = "for the test only";

/// A server that ends with this.
struct Server {
    child: Child,
    directory: PathBuf,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Server {
    fn start(root: &Path) -> anyhow::Result<Server> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("cairn-clients-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        std::fs::write(directory.join("password"), PASSWORD)?;
        // A port that was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new(crate::cargo::target(root).join("debug/cairn"))
            .arg("serve")
            .arg(directory.join("db"))
            .args(["--pg", &format!("127.0.0.1:{port}")])
            .arg("--password-file")
            .arg(directory.join("password"))
            .stderr(Stdio::null())
            .spawn()
            .context("cairn serve")?;
        let mut server = Server { child, directory, port };
        for _ in 0..600 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("the server ended: {status}");
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        bail!("the server does not listen")
    }

    /// What the programs find it by.
    fn tell(&self, command: &mut Command) {
        command
            .env("CAIRN_HOST", self.directory.join("db"))
            .env("CAIRN_PORT", "5432")
            .env("CAIRN_TCP", format!("127.0.0.1:{}", self.port))
            .env("CAIRN_TCP_PASSWORD", PASSWORD);
    }
}

/// Runs the programs that are asked for.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let wanted: Vec<String> = std::env::args().skip(2).collect();
    let all = || CLIENTS.iter().chain(LONG);
    if let Some(unknown) = wanted.iter().find(|name| !all().any(|(known, _)| known == name)) {
        let known: Vec<_> = all().map(|(name, _)| *name).collect();
        bail!("there is no client {unknown}; there are {}", known.join(", "));
    }
    cargo(root, &["build", "--workspace", "--bin", "cairn"])?;
    let chosen = all().filter(|(name, _)| match wanted.is_empty() {
        true => CLIENTS.iter().any(|(usual, _)| usual == name),
        false => wanted.iter().any(|wanted| wanted == name),
    });
    for (name, client) in chosen {
        println!("== {name}");
        let server = Server::start(root)?;
        client(root, &server).with_context(|| (*name).to_owned())?;
    }
    Ok(())
}

fn status(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    ensure!(status.success(), "{status}");
    Ok(())
}

/// A program of a workspace of its own, which finds the server by DATABASE_URL too.
fn rust(root: &Path, server: &Server, folder: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("cargo");
    command.args(["run", "--quiet", "--target-dir"]).arg(crate::cargo::target(root).join("clients"));
    command.args(arguments).current_dir(root.join("clients").join(folder));
    server.tell(&mut command);
    let password = PASSWORD.replace(' ', "%20");
    command.env("DATABASE_URL", format!("postgres://cairn:{password}@127.0.0.1:{}/cairn", server.port));
    status(&mut command)
}

fn tokio_postgres(root: &Path, server: &Server) -> anyhow::Result<()> {
    rust(root, server, "tokio-postgres", &[])
}

/// The program is checked against the tables that the migrations make.
fn sqlx(root: &Path, server: &Server) -> anyhow::Result<()> {
    rust(root, server, "sqlx", &["--bin", "migrate"])?;
    rust(root, server, "sqlx", &["--bin", "program"])
}

/// Diesel stands on libpq.
fn diesel(root: &Path, server: &Server) -> anyhow::Result<()> {
    rust(root, server, "diesel", &[]).context("Debian: apt-get install libpq-dev")
}

/// An environment of Python with what `requirements` names.
fn environment(root: &Path, name: &str, requirements: &[&str]) -> anyhow::Result<PathBuf> {
    let environment = crate::cargo::target(root).join("clients").join(name);
    if !environment.join("bin/python").exists() {
        let mut make = Command::new("python3");
        make.args(["-m", "venv"]).arg(&environment);
        status(&mut make)?;
    }
    let mut install = Command::new(environment.join("bin/pip"));
    install.args(["install", "--quiet"]).args(requirements);
    status(&mut install)?;
    Ok(environment)
}

/// The queries by which pgAdmin looks at a database, out of its package.
fn pgadmin(root: &Path, server: &Server) -> anyhow::Result<()> {
    let environment = environment(root, "pgadmin", &["jinja2", "psycopg[binary]"])?;
    let python = environment.join("bin/python");
    let package = format!("pgadmin4-{PGADMIN}-py3-none-any.whl");
    if !environment.join("pgadmin4").exists() {
        let mut download = Command::new(&python);
        download.args(["-m", "pip", "download", "--quiet", "--no-deps", &format!("pgadmin4=={PGADMIN}")]);
        status(download.arg("--dest").arg(&environment))?;
        let mut unpack = Command::new(&python);
        status(unpack.args(["-m", "zipfile", "--extract"]).arg(environment.join(package)).arg(&environment))?;
    }
    let mut command = Command::new(&python);
    command.arg(root.join("clients/pgadmin/program.py")).arg(environment.join("pgadmin4"));
    server.tell(&mut command);
    status(&mut command)
}

/// SQLAlchemy's own dialect suite, without what `clients/sqlalchemy/excluded.txt` names.
fn sqlalchemy_suite(root: &Path, server: &Server) -> anyhow::Result<()> {
    let package = format!("sqlalchemy=={SQLALCHEMY}");
    let needed = [&package, "psycopg[binary]", "pytest", "setuptools", "cython", "wheel"];
    let environment = environment(root, "sqlalchemy", &needed)?;
    // The suite comes with the sources only.
    let sources = environment.join(format!("sqlalchemy-{SQLALCHEMY}"));
    if !sources.exists() {
        let mut download = Command::new(environment.join("bin/pip"));
        download.args([
            "download",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--no-binary",
            "sqlalchemy",
        ]);
        download.arg(&package).arg("--dest").arg(&environment);
        status(&mut download)?;
        let mut unpack = Command::new("tar");
        unpack
            .arg("--extract")
            .arg("--file")
            .arg(environment.join(format!("sqlalchemy-{SQLALCHEMY}.tar.gz")));
        unpack.arg("--directory").arg(&environment);
        status(&mut unpack)?;
    }
    let host = server.directory.join("db");
    let address = format!("postgresql+psycopg://cairn@/cairn?host={}&port=5432", host.display());
    told(server, "psql", &["-q", "-c", "CREATE SCHEMA test_schema"])?;
    let mut suite = Command::new(environment.join("bin/python"));
    suite.args(["-m", "pytest", "test/dialect/test_suite.py", "--dburi", &address]);
    suite.args(["-p", "cairn_suite", "-p", "no:logging", "-q", "--maxfail", "1000"]);
    suite.current_dir(&sources).env("PYTHONPATH", root.join("clients/sqlalchemy"));
    status(&mut suite)
}

/// Python 3.11 is there, and psqlodbc (Debian: `apt-get install python3-venv odbc-postgresql`).
fn python(root: &Path, server: &Server) -> anyhow::Result<()> {
    let directory = root.join("clients/python");
    let requirements = directory.join("requirements.txt");
    let requirements = requirements.to_str().context("a path that is text")?;
    let environment = environment(root, "python", &["--requirement", requirements])?;
    for program in PYTHON {
        let mut command = Command::new(environment.join("bin/python"));
        command.arg(directory.join(program));
        server.tell(&mut command);
        status(&mut command)?;
    }
    Ok(())
}

/// Node 20 and npm are there (Debian: `apt-get install nodejs npm`).
fn node(root: &Path, server: &Server) -> anyhow::Result<()> {
    // Programs find their packages beside themselves.
    let place = crate::cargo::target(root).join("clients/node");
    std::fs::create_dir_all(&place)?;
    for file in ["package.json"].iter().chain(&NODE) {
        std::fs::copy(root.join("clients/node").join(file), place.join(file))?;
    }
    let mut install = Command::new("npm");
    install.args(["install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&place);
    status(&mut install)?;
    for program in NODE {
        let mut command = Command::new("node");
        command.arg(place.join(program));
        server.tell(&mut command);
        status(&mut command)?;
    }
    Ok(())
}

/// A program that needs nothing built (Debian's packages are named beside each).
fn program(server: &Server, mut command: Command, packages: &str) -> anyhow::Result<()> {
    server.tell(&mut command);
    status(&mut command).with_context(|| format!("Debian: apt-get install {packages}"))
}

fn java(root: &Path, server: &Server) -> anyhow::Result<()> {
    let jars = ["postgresql", "HikariCP", "slf4j-api", "slf4j-nop"];
    let path = jars.map(|jar| format!("/usr/share/java/{jar}.jar")).join(":");
    for name in ["Jdbc.java", "Pool.java"] {
        let mut command = Command::new("java");
        command.args(["-cp", &path]).arg(root.join("clients/java").join(name));
        program(
            server,
            command,
            "default-jdk-headless libpostgresql-jdbc-java libhikaricp-java libslf4j-java",
        )?;
    }
    Ok(())
}

fn go(root: &Path, server: &Server) -> anyhow::Result<()> {
    let mut command = Command::new("go");
    command.args(["run", "main.go"]).current_dir(root.join("clients/go"));
    // Debian's packages are sources in this place.
    command.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode");
    command.env("GOCACHE", crate::cargo::target(root).join("clients/go"));
    program(server, command, "golang-go golang-github-lib-pq-dev")
}

fn php(root: &Path, server: &Server) -> anyhow::Result<()> {
    let mut command = Command::new("php");
    command.arg(root.join("clients/php/program.php"));
    program(server, command, "php-cli php-pgsql")
}

fn ruby(root: &Path, server: &Server) -> anyhow::Result<()> {
    let mut command = Command::new("ruby");
    command.arg(root.join("clients/ruby/program.rb"));
    program(server, command, "ruby-pg")
}

/// PostgreSQL's own programs (Debian: `apt-get install postgresql-client`): psql describes a database and asks what tools ask, pg_dump writes it out, psql
/// restores it into another one, of which pg_dump writes the same.
fn postgresql(root: &Path, server: &Server) -> anyhow::Result<()> {
    let schema = root.join("clients/postgresql/schema.sql");
    let file = schema.to_str().context("a path that is text")?;
    let script = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-f"];
    told(server, "psql", &[&script[..], &[file]].concat())?;
    for what in DESCRIBED {
        told(server, "psql", &["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", what])?;
    }
    let tools = root.join("clients/postgresql/tools.sql");
    told(server, "psql", &[&script[..], &[tools.to_str().context("a path that is text")?]].concat())?;
    let dump = ["--no-owner"];
    let first = told(server, "pg_dump", &dump)?;
    let second = Server::start(root)?;
    let written = second.directory.join("dump.sql");
    std::fs::write(&written, &first)?;
    let file = written.to_str().context("a path that is text")?;
    told(&second, "psql", &[&script[..], &[file]].concat())?;
    let again = told(&second, "pg_dump", &dump)?;
    // These hold a random word.
    let lines = |text: &str| -> Vec<String> {
        let kept = text.lines().filter(|line| !line.contains("restrict "));
        kept.map(str::to_owned).collect()
    };
    ensure!(lines(&first).len() > 100, "the dump is short:\n{first}");
    ensure!(lines(&first) == lines(&again), "restored, the dump is another:\n{first}\n---\n{again}");
    let packed = format!("--file={}", second.directory.join("dump").display());
    told(server, "pg_dump", &["--format=custom", &packed])?;
    println!("psql and pg_dump: {} descriptions, a dump of {} lines", DESCRIBED.len(), lines(&first).len());
    Ok(())
}

/// Runs a program of PostgreSQL against a server; what it prints.
fn told(server: &Server, program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .env("PGHOST", server.directory.join("db"))
        .env("PGPORT", "5432")
        .env("PGUSER", "cairn")
        .env("PGDATABASE", "cairn")
        .output()
        .with_context(|| format!("{program} (Debian: apt-get install postgresql-client)"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {arguments:?}: {errors}");
    Ok(String::from_utf8(output.stdout)?)
}
