PRAGMA user_version = 4;
PRAGMA application_id = 1297371987;
BEGIN TRANSACTION;
CREATE TABLE adopt (key TEXT PRIMARY KEY, at REAL) WITHOUT ROWID;
INSERT INTO "adopt" VALUES('*',NULL);
INSERT INTO "adopt" VALUES('example.org',NULL);
INSERT INTO "adopt" VALUES('wished.example',1700000001.0);
CREATE TABLE alias_domain (
        position INTEGER PRIMARY KEY, name TEXT NOT NULL, target TEXT NOT NULL, active INTEGER NOT NULL
    );
INSERT INTO "alias_domain" VALUES(0,'a.example','example.org',1);
CREATE TABLE announced (
        key TEXT, position INTEGER, id TEXT NOT NULL, text TEXT NOT NULL, since REAL NOT NULL,
        PRIMARY KEY (key, position)
    ) WITHOUT ROWID;
INSERT INTO "announced" VALUES('example.org',0,'1','old',1.0);
INSERT INTO "announced" VALUES('example.org',1,'2','version: STSv1
mode: enforce
max_age: 604800
mx: mx.example.org
',2.0);
CREATE TABLE checked (key TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
INSERT INTO "checked" VALUES('example.org',1700000000.0);
INSERT INTO "checked" VALUES('quiet.example',1699999940.0);
CREATE TABLE condition (
        key TEXT, position INTEGER, type TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL,
        message TEXT NOT NULL, since REAL NOT NULL,
        PRIMARY KEY (key, position)
    ) WITHOUT ROWID;
INSERT INTO "condition" VALUES('example.org',0,'policy served','true','policy.right','as meant',1700000000.0);
INSERT INTO "condition" VALUES('example.org',1,'MX covered','unknown','mx.unseen','no answer',1699999999.0);
CREATE TABLE conf_entry (
        position INTEGER PRIMARY KEY, key TEXT NOT NULL, entry TEXT NOT NULL, event TEXT NOT NULL,
        at REAL NOT NULL
    );
INSERT INTO "conf_entry" VALUES(0,'ADDITIONAL_SAN','mta-sts.*','intended',4.0);
INSERT INTO "conf_entry" VALUES(1,'ADDITIONAL_SAN','mta-sts.*','added',4.0);
CREATE TABLE domain (
        position INTEGER PRIMARY KEY, name TEXT NOT NULL, active INTEGER NOT NULL, backup_mx INTEGER NOT NULL
    );
INSERT INTO "domain" VALUES(0,'example.org',1,0);
INSERT INTO "domain" VALUES(1,'backup.example',0,1);
CREATE TABLE doubt (fingerprint TEXT NOT NULL, polls INTEGER NOT NULL, since REAL NOT NULL);
INSERT INTO "doubt" VALUES('f',2,3.0);
CREATE TABLE fact (
        kind TEXT, subject TEXT, since REAL NOT NULL,
        PRIMARY KEY (kind, subject)
    ) WITHOUT ROWID;
INSERT INTO "fact" VALUES('does not resolve to this host','mta-sts.example.org',0.25);
INSERT INTO "fact" VALUES('missing from the certificate','mta-sts.example.org',6.0);
CREATE TABLE finding (
        key TEXT, position INTEGER, code TEXT NOT NULL, severity TEXT NOT NULL, subject TEXT NOT NULL,
        message TEXT NOT NULL, todo TEXT, section TEXT NOT NULL,
        PRIMARY KEY (key, position)
    ) WITHOUT ROWID;
INSERT INTO "finding" VALUES('example.org',0,'mx.uncovered','error','mx2.example','no pattern','add one','RFC 8461');
INSERT INTO "finding" VALUES('example.org',1,'txt.right','ok','_mta-sts.example.org','“right”',NULL,'§3.1');
CREATE TABLE history (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, subject TEXT, what TEXT NOT NULL, reason TEXT NOT NULL,
        outcome TEXT NOT NULL, detail TEXT
    );
INSERT INTO "history" VALUES(1,1700000000.0,'example.org','policy.added','wanted','done',NULL);
INSERT INTO "history" VALUES(2,1700000001.0,NULL,'x',X'6F646420EDB3BF20C3BC','failed','line
line');
CREATE TABLE in_vain (
        name TEXT PRIMARY KEY, count INTEGER NOT NULL, at REAL NOT NULL, evidence TEXT NOT NULL, words TEXT
    ) WITHOUT ROWID
;
INSERT INTO "in_vain" VALUES('mta-sts.c.example',2,1700000000.0,'192.0.2.1 | ? | ','No A or AAAA record found');
CREATE TABLE lost_name (name TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
INSERT INTO "lost_name" VALUES('autoconfig.a.example',1700000000.0);
INSERT INTO "lost_name" VALUES('mail.example',1700000000.0);
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO "meta" VALUES('believed',1);
INSERT INTO "meta" VALUES('born',1700000000.0);
INSERT INTO "meta" VALUES('counted',9.0);
INSERT INTO "meta" VALUES('counted_at',10.0);
INSERT INTO "meta" VALUES('counted_run','this boot');
INSERT INTO "meta" VALUES('newcomers','["new.example", "newer.example"]');
CREATE TABLE move (key TEXT, host TEXT, at REAL NOT NULL, PRIMARY KEY (key, host)) WITHOUT ROWID
;
INSERT INTO "move" VALUES('*','new.example',1700000000.0);
INSERT INTO "move" VALUES('a.example','new.example',1700000000.0);
CREATE TABLE policy (
        key TEXT PRIMARY KEY, floor TEXT, refused TEXT, id_text TEXT, id TEXT
    ) WITHOUT ROWID;
INSERT INTO "policy" VALUES('*','version: STSv1
mode: enforce
max_age: 604800
mx: mx.example.org
','switched off by a person',NULL,NULL);
INSERT INTO "policy" VALUES('example.org',NULL,NULL,'version: STSv1
mode: enforce
max_age: 604800
mx: mx.example.org
','20261124090000');
INSERT INTO "policy" VALUES('xn--bcher-kva.example',NULL,NULL,NULL,NULL);
CREATE TABLE policy_span (
        key TEXT, position INTEGER, text TEXT, since REAL NOT NULL, until REAL, begun REAL NOT NULL DEFAULT 0, ended REAL NOT NULL DEFAULT 0,
        PRIMARY KEY (key, position)
    ) WITHOUT ROWID;
INSERT INTO "policy_span" VALUES('example.org',0,NULL,0.5,1.0,7.0,8.0);
INSERT INTO "policy_span" VALUES('example.org',1,'version: STSv1
mode: enforce
max_age: 604800
mx: mx.example.org
',1.0,NULL,8.0,0.0);
INSERT INTO "policy_span" VALUES('xn--bcher-kva.example',0,X'6E6F205554462D383A20EDB3BF0020C3BC',1.0,2.0,3.0,4.0);
CREATE TABLE policy_write (
        key TEXT, position INTEGER, text TEXT, at REAL NOT NULL, done INTEGER,
        PRIMARY KEY (key, position)
    ) WITHOUT ROWID;
INSERT INTO "policy_write" VALUES('example.org',0,'version: STSv1
mode: enforce
max_age: 604800
mx: mx.example.org
',1.0,1);
INSERT INTO "policy_write" VALUES('example.org',1,NULL,2.0,NULL);
INSERT INTO "policy_write" VALUES('example.org',2,'refused',3.5,0);
CREATE TABLE restart (position INTEGER PRIMARY KEY, at REAL NOT NULL, judged INTEGER NOT NULL DEFAULT 1);
INSERT INTO "restart" VALUES(0,5.0,1);
INSERT INTO "restart" VALUES(1,6.0,0);
CREATE TABLE restart_before (name TEXT PRIMARY KEY) WITHOUT ROWID;
INSERT INTO "restart_before" VALUES('imap.example.org');
INSERT INTO "restart_before" VALUES('mail.example.org');
CREATE TABLE restart_name (
        restart INTEGER, position INTEGER, name TEXT NOT NULL,
        PRIMARY KEY (restart, position)
    ) WITHOUT ROWID;
INSERT INTO "restart_name" VALUES(0,0,'mta-sts.example.org');
INSERT INTO "restart_name" VALUES(1,0,'b.example');
INSERT INTO "restart_name" VALUES(1,1,'a.example');
CREATE TABLE retired (key TEXT PRIMARY KEY) WITHOUT ROWID;
INSERT INTO "retired" VALUES('leaving.example');
CREATE TABLE rollout (
        key TEXT PRIMARY KEY, soaked REAL NOT NULL, checked_at REAL NOT NULL, good_at REAL,
        refusals INTEGER NOT NULL, stepped_back_at REAL
    ) WITHOUT ROWID;
INSERT INTO "rollout" VALUES('*',0.0,0.0,NULL,0,NULL);
INSERT INTO "rollout" VALUES('example.org',604800.5,1700000000.0,1699999995.0,2,1699999991.0);
CREATE TABLE service (name TEXT PRIMARY KEY) WITHOUT ROWID;
INSERT INTO "service" VALUES('acme-mailcow');
INSERT INTO "service" VALUES('nginx-mailcow');
CREATE INDEX history_by_subject ON history (subject, id);
CREATE INDEX history_by_time ON history (at)
    ;
COMMIT;
