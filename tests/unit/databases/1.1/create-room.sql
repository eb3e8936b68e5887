PRAGMA user_version = 12;
BEGIN TRANSACTION;
CREATE TABLE aggregate_elements (
        aggregate TEXT NOT NULL
            REFERENCES aggregates (name) ON DELETE CASCADE,
        system TEXT NOT NULL,
        system_name TEXT NOT NULL,
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        UNIQUE (aggregate, system)
    );
CREATE TABLE aggregates (name TEXT PRIMARY KEY);
CREATE TABLE attention (
        system TEXT NOT NULL,
        task INTEGER NOT NULL,
        operation TEXT NOT NULL,
        snapshot TEXT,
        step TEXT NOT NULL,
        since REAL NOT NULL,
        PRIMARY KEY (system, task)
    );
CREATE TABLE clock (boot TEXT NOT NULL, ahead REAL NOT NULL);
INSERT INTO "clock" VALUES('65dd6908-84b1-4110-8ca9-1123f44d0bd7',1.79582811316613388061e+09);
CREATE TABLE damaged (
        system TEXT NOT NULL,
        snapshot TEXT NOT NULL,
        created INTEGER NOT NULL,
        PRIMARY KEY (system, snapshot, created)
    );
CREATE TABLE endings (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        task INTEGER NOT NULL UNIQUE REFERENCES tasks (id) ON DELETE CASCADE
    );
INSERT INTO "endings" VALUES(1,43);
INSERT INTO "endings" VALUES(2,44);
INSERT INTO "endings" VALUES(3,45);
CREATE TABLE engine (seen REAL NOT NULL, failing TEXT NOT NULL);
INSERT INTO "engine" VALUES(1.79588670385589098928e+09,'[]');
CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        event_group INTEGER NOT NULL,
        time REAL NOT NULL,
        message TEXT NOT NULL,
        args TEXT NOT NULL,
        origin TEXT NOT NULL,
        origin_type TEXT NOT NULL,
        origin_gone INTEGER NOT NULL,
        system TEXT NOT NULL,
        system_name TEXT NOT NULL,
        given TEXT NOT NULL DEFAULT '{}'
    , total INTEGER NOT NULL DEFAULT 0, noted REAL NOT NULL DEFAULT 0, others TEXT NOT NULL DEFAULT '[]');
INSERT INTO "events" VALUES(1,1,1.79588670394441366198e+09,'TaskEvent.1.0.TaskStarted','["43"]','/redfish/v1/TaskService/Tasks/43','Task',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}',180,1.7958867039444782734e+09,'[]');
INSERT INTO "events" VALUES(2,2,1.7958867040364096165e+09,'HawkFish.1.0.SnapshotCreated','["a", "fake"]','/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots/a','HawkFishSnapshot',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}',431,1.79588670403643321988e+09,'[]');
INSERT INTO "events" VALUES(3,2,1.7958867040364096165e+09,'ResourceEvent.1.4.ResourceCreated','[]','/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots/a','HawkFishSnapshot',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}',676,1.79588670403644013406e+09,'[]');
INSERT INTO "events" VALUES(4,2,1.7958867040364096165e+09,'TaskEvent.1.0.TaskCompletedOK','["43"]','/redfish/v1/TaskService/Tasks/43','Task',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}',860,1.79588670403644609444e+09,'[]');
INSERT INTO "events" VALUES(5,5,1.79588670410006141665e+09,'TaskEvent.1.0.TaskStarted','["44"]','/redfish/v1/TaskService/Tasks/44','Task',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}',1040,1.79588670410097360615e+09,'[]');
INSERT INTO "events" VALUES(6,6,1.79588670412196516989e+09,'HawkFish.1.0.SnapshotCreated','["b", "fake"]','/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots/b','HawkFishSnapshot',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}',1291,1.79588670412198638916e+09,'[]');
INSERT INTO "events" VALUES(7,6,1.79588670412196516989e+09,'ResourceEvent.1.4.ResourceCreated','[]','/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots/b','HawkFishSnapshot',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}',1536,1.79588670412199234967e+09,'[]');
INSERT INTO "events" VALUES(8,6,1.79588670412196516989e+09,'TaskEvent.1.0.TaskCompletedOK','["44"]','/redfish/v1/TaskService/Tasks/44','Task',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}',1720,1.79588670412200021738e+09,'[]');
INSERT INTO "events" VALUES(9,9,1.79588670422495746614e+09,'TaskEvent.1.0.TaskStarted','["45"]','/redfish/v1/TaskService/Tasks/45','Task',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}',1900,1.79588670422498726843e+09,'[]');
INSERT INTO "events" VALUES(10,10,1.79588670627368569374e+09,'HawkFish.1.0.SnapshotReverted','["b", "fake"]','/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots/b','HawkFishSnapshot',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}',2152,1.7958867062737112045e+09,'[]');
INSERT INTO "events" VALUES(11,10,1.79588670627368569374e+09,'TaskEvent.1.0.TaskCompletedOK','["45"]','/redfish/v1/TaskService/Tasks/45','Task',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}',2336,1.79588670627371716501e+09,'[]');
INSERT INTO "events" VALUES(12,12,1.79588670628872227666e+09,'TaskEvent.1.0.TaskStarted','["46"]','/redfish/v1/TaskService/Tasks/46','Task',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}',2516,1.79588670628874206539e+09,'[]');
INSERT INTO "events" VALUES(13,13,1.79588670630676770214e+09,'TaskEvent.1.0.TaskStarted','["47"]','/redfish/v1/TaskService/Tasks/47','Task',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}',2696,1.79588670630678963664e+09,'[]');
CREATE TABLE expiry (
        system TEXT NOT NULL,
        snapshot TEXT NOT NULL,
        created INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        PRIMARY KEY (system, snapshot, created)
    );
CREATE TABLE exports (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        task INTEGER NOT NULL UNIQUE,
        system TEXT NOT NULL,
        folder TEXT NOT NULL,
        manifest TEXT NOT NULL,
        created REAL NOT NULL,
        expires REAL NOT NULL,
        deleting INTEGER NOT NULL DEFAULT 0
    );
CREATE TABLE group_snapshot_parts (
        group_snapshot INTEGER NOT NULL
            REFERENCES group_snapshots (id) ON DELETE CASCADE,
        system TEXT NOT NULL,
        system_name TEXT NOT NULL,
        snapshot TEXT NOT NULL,
        created INTEGER NOT NULL,
        PRIMARY KEY (group_snapshot, system)
    );
CREATE TABLE group_snapshots (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        aggregate TEXT NOT NULL
            REFERENCES aggregates (name) ON DELETE CASCADE,
        name TEXT NOT NULL,
        consistency TEXT,
        skew REAL,
        pause REAL,
        written INTEGER,
        UNIQUE (aggregate, name)
    );
CREATE TABLE locked (
        system TEXT NOT NULL,
        snapshot TEXT NOT NULL,
        created INTEGER NOT NULL,
        PRIMARY KEY (system, snapshot, created)
    );
CREATE TABLE memory (
        system TEXT NOT NULL,
        snapshot TEXT NOT NULL,
        created INTEGER NOT NULL,
        size INTEGER NOT NULL,
        PRIMARY KEY (system, snapshot, created)
    );
CREATE TABLE policies (
        system TEXT PRIMARY KEY,
        max_snapshots INTEGER,
        max_age INTEGER,
        max_bytes INTEGER,
        on_limit TEXT
    );
INSERT INTO "policies" VALUES('27946b59-9e44-4fa7-8e91-f3527a1ef094',2,NULL,NULL,'prune');
CREATE TABLE quiesced (
        system TEXT NOT NULL,
        snapshot TEXT NOT NULL,
        created INTEGER NOT NULL,
        status TEXT NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (system, snapshot, created)
    );
INSERT INTO "quiesced" VALUES('27946b59-9e44-4fa7-8e91-f3527a1ef094','a',1795886703,'NotNeeded','');
INSERT INTO "quiesced" VALUES('27946b59-9e44-4fa7-8e91-f3527a1ef094','b',1795886704,'NotNeeded','');
CREATE TABLE session_timeout (seconds INTEGER NOT NULL);
INSERT INTO "session_timeout" VALUES(1800);
CREATE TABLE sessions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        user TEXT NOT NULL,
        entry TEXT NOT NULL,
        token TEXT NOT NULL UNIQUE,
        created REAL NOT NULL,
        used REAL NOT NULL
    );
CREATE TABLE subscriptions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        type TEXT NOT NULL,
        destination TEXT NOT NULL,
        context TEXT NOT NULL,
        retry_policy TEXT NOT NULL,
        verify INTEGER NOT NULL,
        headers TEXT NOT NULL,
        filters TEXT NOT NULL,
        suspended INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0,
        delivered INTEGER NOT NULL,
        seen REAL NOT NULL
    , allowed TEXT);
CREATE TABLE task_subjects (
        task INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        system TEXT NOT NULL,
        system_name TEXT NOT NULL,
        snapshot TEXT,
        lock TEXT NOT NULL,
        active INTEGER NOT NULL DEFAULT 1, parent INTEGER,
        PRIMARY KEY (task, position)
    );
INSERT INTO "task_subjects" VALUES(43,0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','a','exclusive',0,NULL);
INSERT INTO "task_subjects" VALUES(44,0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','b','exclusive',0,NULL);
INSERT INTO "task_subjects" VALUES(45,0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','b','exclusive',0,NULL);
INSERT INTO "task_subjects" VALUES(46,0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','new','exclusive',1,NULL);
INSERT INTO "task_subjects" VALUES(47,0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','a','exclusive',1,46);
CREATE TABLE tasks (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        operation TEXT NOT NULL,
        arguments TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'New',
        step TEXT NOT NULL DEFAULT '',
        percent INTEGER NOT NULL DEFAULT 0,
        journal TEXT NOT NULL DEFAULT '{}',
        messages TEXT NOT NULL DEFAULT '[]',
        payload TEXT NOT NULL,
        result TEXT,
        error TEXT,
        owner TEXT NOT NULL DEFAULT '',
        claims INTEGER NOT NULL DEFAULT 0,
        created REAL NOT NULL,
        started REAL,
        ended REAL
    , version INTEGER NOT NULL DEFAULT 0, cancellable INTEGER NOT NULL DEFAULT 0, parent INTEGER, after_task INTEGER, queued REAL, above TEXT NOT NULL DEFAULT '[]');
INSERT INTO "tasks" VALUES(43,'create','{"name": "a", "description": "as a", "memory": null, "quiesce": null, "locked": false, "expires": null, "protect": null, "consistency": null, "temporary": false, "before_revert": false}','Completed','finish',100,'{"to_follow": false}','[["TaskEvent.1.0.TaskStarted", ["43"]], ["TaskEvent.1.0.TaskCompletedOK", ["43"]]]','{"HttpOperation": "POST", "TargetUri": "/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots", "HttpHeaders": ["Content-Type: application/json"], "JsonBody": "{\"Description\": \"as a\", \"Name\": \"a\"}"}','{"snapshot": "a", "created": 1795886703}',NULL,'209c9f0837c54a139cacd4d05a10f72b',1,1.7958867039155955315e+09,1.79588670393142509464e+09,1.79588670403624248508e+09,2,1,NULL,NULL,1.7958867039155955315e+09,'[]');
INSERT INTO "tasks" VALUES(44,'create','{"name": "b", "description": "as b", "memory": null, "quiesce": null, "locked": false, "expires": null, "protect": null, "consistency": null, "temporary": false, "before_revert": false}','Completed','finish',100,'{"to_follow": false}','[["TaskEvent.1.0.TaskStarted", ["44"]], ["TaskEvent.1.0.TaskCompletedOK", ["44"]]]','{"HttpOperation": "POST", "TargetUri": "/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots", "HttpHeaders": ["Content-Type: application/json"], "JsonBody": "{\"Description\": \"as b\", \"Name\": \"b\"}"}','{"snapshot": "b", "created": 1795886704}',NULL,'209c9f0837c54a139cacd4d05a10f72b',1,1.79588670409283924101e+09,1.79588670409943246836e+09,1.79588670412172031398e+09,2,1,NULL,NULL,1.79588670409283781051e+09,'[]');
INSERT INTO "tasks" VALUES(45,'revert','{"created": 1795886704, "power_state": "AsCaptured", "force": false, "created_here": true, "memory_size": null}','Completed','finish',100,'{"to_follow": false}','[["TaskEvent.1.0.TaskStarted", ["45"]], ["TaskEvent.1.0.TaskCompletedOK", ["45"]]]','{"HttpOperation": "POST", "TargetUri": "/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots/b/Actions/HawkFishSnapshot.Revert", "HttpHeaders": ["Content-Type: application/json"], "JsonBody": "{}"}','{"snapshot": "b"}',NULL,'209c9f0837c54a139cacd4d05a10f72b',1,1.79588670422030305864e+09,1.79588670422467541702e+09,1.79588670627353668212e+09,1,0,NULL,NULL,1.7958867042203016281e+09,'[]');
INSERT INTO "tasks" VALUES(46,'create','{"name": "new", "description": "words", "memory": true, "quiesce": "Never", "locked": true, "expires": 4070908800, "protect": null, "consistency": null, "temporary": false, "before_revert": false}','Running','room',0,'{}','[["TaskEvent.1.0.TaskStarted",["46"]]]','{"HttpOperation": "POST", "TargetUri": "/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots", "HttpHeaders": ["Content-Type: application/json"], "JsonBody": "{\"Description\": \"words\", \"ExpiresTime\": \"2099-01-01T00:00:00Z\", \"IncludeMemory\": true, \"Locked\": true, \"Name\": \"new\", \"Quiesce\": \"Never\"}"}',NULL,NULL,'209c9f0837c54a139cacd4d05a10f72b',1,1.79588670423350787162e+09,1.79588670628836584095e+09,NULL,2,1,NULL,NULL,1.79588670423350620268e+09,'[]');
INSERT INTO "tasks" VALUES(47,'delete','{"created": 1795886703, "pruned": "MaxSnapshots", "forced": false}','Running','prepare',0,'{}','[["TaskEvent.1.0.TaskStarted",["47"]],["HawkFish.1.0.SnapshotPruned",["a","fake","MaxSnapshots"]]]','{}',NULL,NULL,'209c9f0837c54a139cacd4d05a10f72b',1,1.79588670630406785008e+09,1.79588670630655050271e+09,NULL,1,1,46,NULL,1.79588670630406641959e+09,'[["27946b59-9e44-4fa7-8e91-f3527a1ef094", "fake"]]');
CREATE TABLE uploads (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        files TEXT NOT NULL,
        task INTEGER
    );
CREATE INDEX tasks_by_state ON tasks (state);
CREATE INDEX tasks_by_parent ON tasks (parent) WHERE parent IS NOT NULL;
CREATE INDEX active_subjects ON task_subjects (system) WHERE active;
CREATE UNIQUE INDEX one_active_task_a_subject
        ON task_subjects (system, IFNULL(snapshot, ''), IFNULL(parent, 0))
        WHERE active AND lock = 'exclusive';
CREATE INDEX events_by_total ON events (total);
CREATE INDEX parts_by_system ON group_snapshot_parts (system);
CREATE INDEX exports_by_system ON exports (system);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('tasks',47);
INSERT INTO "sqlite_sequence" VALUES('endings',3);
INSERT INTO "sqlite_sequence" VALUES('events',13);
COMMIT;
