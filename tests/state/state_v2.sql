PRAGMA user_version = 2;
PRAGMA application_id = 1297371987;
BEGIN TRANSACTION;
CREATE TABLE adopt (key TEXT PRIMARY KEY, at REAL) WITHOUT ROWID;
CREATE TABLE alias_domain (
        position INTEGER PRIMARY KEY, name TEXT NOT NULL, target TEXT NOT NULL, active INTEGER NOT NULL
    );
CREATE TABLE announced (
        key TEXT, position INTEGER, id TEXT NOT NULL, text TEXT NOT NULL, since REAL NOT NULL,
        PRIMARY KEY (key, position)
    ) WITHOUT ROWID;
CREATE TABLE checked (key TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE condition (
        key TEXT, position INTEGER, type TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL,
        message TEXT NOT NULL, since REAL NOT NULL,
        PRIMARY KEY (key, position)
    ) WITHOUT ROWID;
CREATE TABLE conf_entry (
        position INTEGER PRIMARY KEY, key TEXT NOT NULL, entry TEXT NOT NULL, event TEXT NOT NULL,
        at REAL NOT NULL
    );
CREATE TABLE domain (
        position INTEGER PRIMARY KEY, name TEXT NOT NULL, active INTEGER NOT NULL, backup_mx INTEGER NOT NULL
    );
CREATE TABLE doubt (fingerprint TEXT NOT NULL, polls INTEGER NOT NULL, since REAL NOT NULL);
INSERT INTO "doubt" VALUES('f',3,1.0);
CREATE TABLE fact (
        kind TEXT, subject TEXT, since REAL NOT NULL,
        PRIMARY KEY (kind, subject)
    ) WITHOUT ROWID;
INSERT INTO "fact" VALUES('mx pattern that no MX matches','a',1.0);
CREATE TABLE finding (
        key TEXT, position INTEGER, code TEXT NOT NULL, severity TEXT NOT NULL, subject TEXT NOT NULL,
        message TEXT NOT NULL, todo TEXT, section TEXT NOT NULL,
        PRIMARY KEY (key, position)
    ) WITHOUT ROWID;
CREATE TABLE history (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, subject TEXT, what TEXT NOT NULL, reason TEXT NOT NULL,
        outcome TEXT NOT NULL, detail TEXT
    );
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO "meta" VALUES('born',1665440000.0);
CREATE TABLE move (key TEXT, host TEXT, at REAL NOT NULL, PRIMARY KEY (key, host)) WITHOUT ROWID
;
CREATE TABLE policy (
        key TEXT PRIMARY KEY, floor TEXT, refused TEXT, id_text TEXT, id TEXT
    ) WITHOUT ROWID;
INSERT INTO "policy" VALUES('a.example',NULL,NULL,NULL,NULL);
CREATE TABLE policy_span (
        key TEXT, position INTEGER, text TEXT, since REAL NOT NULL, until REAL,
        PRIMARY KEY (key, position)
    ) WITHOUT ROWID;
INSERT INTO "policy_span" VALUES('a.example',0,NULL,1.0,2.0);
INSERT INTO "policy_span" VALUES('a.example',1,'version: STSv1
mode: enforce
max_age: 604800
mx: mx.example.org
',1700000000.0,1668464000.0);
INSERT INTO "policy_span" VALUES('a.example',2,NULL,1668464000.0,NULL);
CREATE TABLE policy_write (
        key TEXT, position INTEGER, text TEXT, at REAL NOT NULL, done INTEGER,
        PRIMARY KEY (key, position)
    ) WITHOUT ROWID;
CREATE TABLE restart (position INTEGER PRIMARY KEY, at REAL NOT NULL);
INSERT INTO "restart" VALUES(0,1700000000.0);
CREATE TABLE restart_name (
        restart INTEGER, position INTEGER, name TEXT NOT NULL,
        PRIMARY KEY (restart, position)
    ) WITHOUT ROWID;
CREATE TABLE retired (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE rollout (
        key TEXT PRIMARY KEY, soaked REAL NOT NULL, checked_at REAL NOT NULL, good_at REAL,
        refusals INTEGER NOT NULL, stepped_back_at REAL
    ) WITHOUT ROWID;
CREATE TABLE service (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE INDEX history_by_subject ON history (subject, id);
CREATE INDEX history_by_time ON history (at)
    ;
COMMIT;
