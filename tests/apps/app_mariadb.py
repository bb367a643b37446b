"""MariaDB: one session's inserts, a transaction across the fault, and a large result."""
import os
import subprocess

import pymysql

from application import Application
from pair import free_port
from programs import find_program
from run import expect, size_of

ROW_BYTES = 200


class App(Application):
    title = "MariaDB"
    packages = ["mariadb-server", "mariadb-client", "python3-pymysql"]
    bulk = ("large result",)

    def start(self, programs):
        data = os.path.join(programs.folder, "data")
        os.makedirs(data)
        subprocess.run(["chown", "mysql:mysql", data, programs.folder], check=True)
        os.chmod(programs.folder, 0o755)
        subprocess.run([find_program("mariadb-install-db"), "--no-defaults", f"--datadir={data}",
                        "--user=mysql", "--auth-root-authentication-method=normal", "--skip-test-db"],
                       check=True, capture_output=True)
        self._port, self._socket = free_port(), os.path.join(programs.folder, "sock")
        programs.start_listening(["mariadbd", "--no-defaults", f"--datadir={data}", "--user=mysql",
                                  f"--port={self._port}", f"--bind-address={programs.host}",
                                  f"--socket={self._socket}", f"--pid-file={data}/pid",
                                  "--skip-name-resolve", "--innodb-buffer-pool-size=32M",
                                  "--innodb-flush-log-at-trx-commit=0"],
                                 self._port, "mariadb.log", seconds=40)
        self._sql("create user app@'%'; grant all on *.* to app@'%'")
        for way in ("holdfast", "direct"):
            self._sql(f"create database {way}; create table {way}.t (n int primary key); "
                      f"create table {way}.kept (n int)")
        return self._port

    def remove(self):
        """Everything lies in the cell's folder."""

    def workloads(self):
        return {"inserts": self.inserts, "transaction": self.transaction, "large result": self.result}

    def _sql(self, text):
        return self.beside(["mariadb", "--no-defaults", f"--socket={self._socket}", "-N", "-e", text])

    @staticmethod
    def _connect(run):
        return pymysql.connect(host=run.host, port=run.port, user="app", database=run.way)

    def inserts(self, run):
        session = self._connect(run)
        session.autocommit(True)
        cursor = session.cursor()

        def step(number):
            cursor.execute(f"insert into t values ({number})")
        count = run.steadily(step)
        found = self._sql(f"select count(*) from {run.way}.t")
        expect(int(found) == count, f"{found} rows of {count}")

    def transaction(self, run):
        session = self._connect(run)
        cursor = session.cursor()
        cursor.execute("select connection_id()")
        own = cursor.fetchone()
        cursor.execute("insert into kept values (1)")
        run.under_way()
        run.broken.wait()
        cursor.execute("insert into kept values (2)")
        run.healed.wait()
        session.commit()
        run.progress()
        cursor.execute("select connection_id()")
        expect(cursor.fetchone() == own, "another session")
        found = self._sql(f"select count(*) from {run.way}.kept")
        expect(found == "2", f"{found} rows of 2")

    def result(self, run):
        rows = run.bulk_bytes // (ROW_BYTES + 9)
        text = (f"select concat(lpad(seq, 8, '0'), repeat(char(65 + seq % 26), {ROW_BYTES})) "
                f"from seq_1_to_{rows}")
        run.prepared()
        with open(run.path("rows"), "wb") as out, open(run.path("said"), "wb") as said:
            process = run.start(["mariadb", "--no-defaults", "-h", run.host, "-P", run.port, "-u", "app",
                                 "--quick", "-N", "-e", text, run.way], stdout=out, stderr=said)
        run.transfer(process, lambda: size_of(run.path("rows")), lambda: run.programs.tail("said"))
        with open(run.path("rows")) as file:
            for number, line in enumerate(file, 1):
                expect(line == f"{number:08}" + chr(65 + number % 26) * ROW_BYTES + "\n",
                       f"row {number} is {line[:60]!r}")
        expect(number == rows, f"{number} of {rows} rows")
