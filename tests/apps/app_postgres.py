"""PostgreSQL: pgbench, COPY both ways, LISTEN, and a transaction prepared across the fault."""
import hashlib
import select

import psycopg2
import psycopg2.extensions

from application import Application
from run import Lost, expect, read_so_far, size_of
from services import POSTGRES, Postgres

ROW_BYTES = 41


class App(Application):
    title = "PostgreSQL"
    packages = ["postgresql", "postgresql-client", "python3-psycopg2"]
    bulk = ("pgbench", "COPY out", "COPY in")

    def start(self, programs):
        self.service = Postgres(programs, {"max_prepared_transactions": 20},
                                hba="host all all 10.201.0.0/16 trust\n")
        for database in ("holdfast", "direct"):      # so that what one leaves locked holds up no other
            self._sql("postgres", f"create database {database}")
            self.beside([f"{POSTGRES}/pgbench", *self._at_home(), "-i", "-q", database])
            self._sql(database, "create table kept (n int); create table copied (n int, t text)")
        return self.service.port

    def _at_home(self):
        return ["-h", "127.0.0.1", "-p", self.service.port, "-U", "postgres"]

    def workloads(self):
        return {"pgbench": self.bench, "COPY out": self.copy_out, "COPY in": self.copy_in,
                "LISTEN and NOTIFY": self.listen, "prepared transaction": self.prepare}

    def _sql(self, database, text):
        return self.beside(["psql", "-X", "-A", "-t", "-q", *self._at_home(), "-c", text, database])

    @staticmethod
    def _connect(run):
        return psycopg2.connect(host=run.host, port=run.port, user="postgres", dbname=run.way)

    @staticmethod
    def _psql(run, text, **options):
        return run.start(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", run.host, "-p", run.port,
                          "-U", "postgres", "-c", text, run.way], **options)

    def bench(self, run):
        run.prepared()
        process = run.start([f"{POSTGRES}/pgbench", "-h", run.host, "-p", run.port, "-U", "postgres",
                             "-c", "2", "-R", "40", "-T", int(run.fault.seconds) + 8, run.way], "said")
        run.transfer(process, said=lambda: run.programs.tail("said"))
        said = run.programs.tail("said", 100)
        expect("number of failed transactions: 0" in said and "aborted" not in said, said[-300:])
        done = int(said.partition("actually processed: ")[2].split()[0].partition("/")[0])
        rows = int(self._sql(run.way, "select count(*) from pgbench_history"))
        expect(rows == done, f"{rows} rows of {done} transactions")

    def copy_out(self, run):
        rows = run.bulk_bytes // ROW_BYTES
        expected = hashlib.md5(table(rows)).hexdigest()
        run.prepared()
        with open(run.path("rows"), "wb") as out, open(run.path("said"), "wb") as said:
            process = self._psql(run, f"copy (select lpad(n::text, 7, '0'), md5(n::text) from "
                                 f"generate_series(1, {rows}) n) to stdout", stdout=out, stderr=said)
        run.transfer(process, lambda: size_of(run.path("rows")), lambda: run.programs.tail("said"))
        with open(run.path("rows"), "rb") as file:
            digest = hashlib.file_digest(file, "md5").hexdigest()
        expect(digest == expected, "other rows than were asked for")

    def copy_in(self, run):
        rows = run.bulk_bytes // ROW_BYTES
        with open(run.path("rows"), "wb") as file:
            file.write(table(rows))
        run.prepared()
        with open(run.path("rows"), "rb") as source, open(run.path("said"), "wb") as said:
            process = self._psql(run, "copy copied from stdin", stdin=source, stderr=said)
        run.transfer(process, lambda: read_so_far(process), lambda: run.programs.tail("said"))
        found = self._sql(run.way, "select count(*), count(distinct n), count(*) filter "
                          "(where t = md5(n::text)) from copied")
        expect(found == f"{rows}|{rows}|{rows}", f"{found} of {rows} rows")

    def listen(self, run):
        """One session tells another of every number, both over the path."""
        teller, listener = self._connect(run), self._connect(run)
        for session in (teller, listener):
            session.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_AUTOCOMMIT)
        listener.cursor().execute("listen news")

        def step(number):
            teller.cursor().execute(f"notify news, '{number}'")
            while not listener.notifies:
                if not select.select([listener], [], [], 120)[0]:
                    raise Lost(f"notification {number} did not come within 120 s")
                listener.poll()
            told = listener.notifies.pop(0).payload
            expect(told == str(number), f"notification {told} in place of {number}")
        run.steadily(step)

    def prepare(self, run):
        """Begun before the fault, prepared within it, committed after it, all in one session."""
        session = self._connect(run)
        session.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_AUTOCOMMIT)
        cursor = session.cursor()
        cursor.execute("begin")
        cursor.execute("insert into kept values (42)")
        run.under_way()
        run.broken.wait()
        cursor.execute(f"prepare transaction '{run.way}'")
        run.healed.wait()
        cursor.execute(f"commit prepared '{run.way}'")
        run.progress()
        found = self._sql(run.way, "select count(*), (select count(*) from pg_prepared_xacts "
                          "where database = current_database()) from kept")
        expect(found == "1|0", f"rows and transactions left: {found}")


def table(rows):
    return b"".join(b"%07d\t%s\n" % (n, hashlib.md5(b"%d" % n).hexdigest().encode())
                    for n in range(1, rows + 1))
