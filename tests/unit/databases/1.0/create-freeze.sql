PRAGMA user_version = 5;
BEGIN TRANSACTION;
CREATE TABLE damaged (
        system TEXT NOT NULL,
        snapshot TEXT NOT NULL,
        created INTEGER NOT NULL,
        PRIMARY KEY (system, snapshot, created)
    );
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
    );
INSERT INTO "events" VALUES(1,1,1.79582963630836224553e+09,'TaskEvent.1.0.TaskStarted','["43"]','/redfish/v1/TaskService/Tasks/43','Task',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}');
INSERT INTO "events" VALUES(2,2,1.7958296363276553154e+09,'HawkFish.1.0.SnapshotCreated','["a", "fake"]','/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots/a','HawkFishSnapshot',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}');
INSERT INTO "events" VALUES(3,2,1.7958296363276553154e+09,'ResourceEvent.1.4.ResourceCreated','[]','/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots/a','HawkFishSnapshot',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}');
INSERT INTO "events" VALUES(4,2,1.7958296363276553154e+09,'TaskEvent.1.0.TaskCompletedOK','["43"]','/redfish/v1/TaskService/Tasks/43','Task',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}');
INSERT INTO "events" VALUES(5,5,1.79582963634689760212e+09,'TaskEvent.1.0.TaskStarted','["44"]','/redfish/v1/TaskService/Tasks/44','Task',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}');
INSERT INTO "events" VALUES(6,6,1.79582963636301589011e+09,'HawkFish.1.0.SnapshotCreated','["b", "fake"]','/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots/b','HawkFishSnapshot',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}');
INSERT INTO "events" VALUES(7,6,1.79582963636301589011e+09,'ResourceEvent.1.4.ResourceCreated','[]','/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots/b','HawkFishSnapshot',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}');
INSERT INTO "events" VALUES(8,6,1.79582963636301589011e+09,'TaskEvent.1.0.TaskCompletedOK','["44"]','/redfish/v1/TaskService/Tasks/44','Task',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}');
INSERT INTO "events" VALUES(9,9,1.79582963638426971434e+09,'TaskEvent.1.0.TaskStarted','["45"]','/redfish/v1/TaskService/Tasks/45','Task',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}');
INSERT INTO "events" VALUES(10,10,1.79582963639714479446e+09,'HawkFish.1.0.SnapshotCreated','["c", "fake"]','/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots/c','HawkFishSnapshot',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}');
INSERT INTO "events" VALUES(11,10,1.79582963639714479446e+09,'ResourceEvent.1.4.ResourceCreated','[]','/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots/c','HawkFishSnapshot',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}');
INSERT INTO "events" VALUES(12,10,1.79582963639714479446e+09,'TaskEvent.1.0.TaskCompletedOK','["45"]','/redfish/v1/TaskService/Tasks/45','Task',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}');
INSERT INTO "events" VALUES(13,13,1.79582963641556859015e+09,'TaskEvent.1.0.TaskStarted','["46"]','/redfish/v1/TaskService/Tasks/46','Task',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}');
INSERT INTO "events" VALUES(14,14,1.79582963642374825478e+09,'HawkFish.1.0.SnapshotReverted','["b", "fake"]','/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots/b','HawkFishSnapshot',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}');
INSERT INTO "events" VALUES(15,14,1.79582963642374825478e+09,'TaskEvent.1.0.TaskCompletedOK','["46"]','/redfish/v1/TaskService/Tasks/46','Task',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}');
INSERT INTO "events" VALUES(16,16,1.79582963643988132483e+09,'TaskEvent.1.0.TaskStarted','["47"]','/redfish/v1/TaskService/Tasks/47','Task',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}');
INSERT INTO "events" VALUES(17,17,1.79582963646398615841e+09,'HawkFish.1.0.SnapshotDeleted','["c", "fake", "Request"]','/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots/c','HawkFishSnapshot',1,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}');
INSERT INTO "events" VALUES(18,17,1.79582963646398615841e+09,'ResourceEvent.1.4.ResourceRemoved','[]','/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots/c','HawkFishSnapshot',1,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}');
INSERT INTO "events" VALUES(19,17,1.79582963646398615841e+09,'TaskEvent.1.0.TaskCompletedOK','["47"]','/redfish/v1/TaskService/Tasks/47','Task',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}');
INSERT INTO "events" VALUES(20,20,1.79582963648904705045e+09,'TaskEvent.1.0.TaskStarted','["48"]','/redfish/v1/TaskService/Tasks/48','Task',0,'27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','{}');
CREATE TABLE expiry (
        system TEXT NOT NULL,
        snapshot TEXT NOT NULL,
        created INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        PRIMARY KEY (system, snapshot, created)
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
CREATE TABLE quiesced (
        system TEXT NOT NULL,
        snapshot TEXT NOT NULL,
        created INTEGER NOT NULL,
        status TEXT NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (system, snapshot, created)
    );
INSERT INTO "quiesced" VALUES('27946b59-9e44-4fa7-8e91-f3527a1ef094','a',1795829636,'NotNeeded','');
INSERT INTO "quiesced" VALUES('27946b59-9e44-4fa7-8e91-f3527a1ef094','b',1795829636,'NotNeeded','');
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
    );
CREATE TABLE tasks (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        operation TEXT NOT NULL,
        system TEXT NOT NULL,
        system_name TEXT NOT NULL,
        snapshot TEXT NOT NULL,
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
    );
INSERT INTO "tasks" VALUES(43,'create','27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','a','{"name": "a", "description": "as a", "memory": null, "quiesce": null, "locked": false, "expires": null, "spare": null}','Completed','finish',100,'{}','[["TaskEvent.1.0.TaskStarted", ["43"]], ["TaskEvent.1.0.TaskCompletedOK", ["43"]]]','{"HttpOperation": "POST", "TargetUri": "/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots", "HttpHeaders": ["Content-Type: application/json"], "JsonBody": "{\"Description\": \"as a\", \"Name\": \"a\"}"}','{"snapshot": "a", "created": 1795829636}',NULL,'86f8b514e3a44187b4328f30cd94e8e1',1,1.79582963630472874647e+09,1.79582963630777144425e+09,1.79582963632747244836e+09);
INSERT INTO "tasks" VALUES(44,'create','27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','b','{"name": "b", "description": "as b", "memory": null, "quiesce": null, "locked": false, "expires": null, "spare": null}','Completed','finish',100,'{}','[["TaskEvent.1.0.TaskStarted", ["44"]], ["TaskEvent.1.0.TaskCompletedOK", ["44"]]]','{"HttpOperation": "POST", "TargetUri": "/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots", "HttpHeaders": ["Content-Type: application/json"], "JsonBody": "{\"Description\": \"as b\", \"Name\": \"b\"}"}','{"snapshot": "b", "created": 1795829636}',NULL,'86f8b514e3a44187b4328f30cd94e8e1',1,1.79582963634548830982e+09,1.79582963634668493269e+09,1.7958296363628792763e+09);
INSERT INTO "tasks" VALUES(45,'create','27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','c','{"name": "c", "description": "as c", "memory": null, "quiesce": null, "locked": false, "expires": null, "spare": null}','Completed','finish',100,'{}','[["TaskEvent.1.0.TaskStarted", ["45"]], ["TaskEvent.1.0.TaskCompletedOK", ["45"]]]','{"HttpOperation": "POST", "TargetUri": "/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots", "HttpHeaders": ["Content-Type: application/json"], "JsonBody": "{\"Description\": \"as c\", \"Name\": \"c\"}"}','{"snapshot": "c", "created": 1795829636}',NULL,'86f8b514e3a44187b4328f30cd94e8e1',1,1.79582963637950372695e+09,1.79582963638373732566e+09,1.79582963639630460738e+09);
INSERT INTO "tasks" VALUES(46,'revert','27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','b','{"created": 1795829636, "power_state": "AsCaptured", "force": false, "ours": true, "memory_size": null, "safety": null}','Completed','finish',100,'{}','[["TaskEvent.1.0.TaskStarted", ["46"]], ["TaskEvent.1.0.TaskCompletedOK", ["46"]]]','{"HttpOperation": "POST", "TargetUri": "/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots/b/Actions/HawkFishSnapshot.Revert", "HttpHeaders": ["Content-Type: application/json"], "JsonBody": "{}"}','{"snapshot": "b"}',NULL,'86f8b514e3a44187b4328f30cd94e8e1',1,1.79582963641177392006e+09,1.79582963641438984872e+09,1.79582963642363166814e+09);
INSERT INTO "tasks" VALUES(47,'delete','27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','c','{"created": 1795829636}','Completed','finish',100,'{}','[["TaskEvent.1.0.TaskStarted", ["47"]], ["TaskEvent.1.0.TaskCompletedOK", ["47"]]]','{"HttpOperation": "DELETE", "TargetUri": "/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots/c", "HttpHeaders": ["Content-Type: application/json"], "JsonBody": "{}"}','{"snapshot": "c"}',NULL,'86f8b514e3a44187b4328f30cd94e8e1',1,1.79582963643802118302e+09,1.79582963643968248363e+09,1.79582963646321225161e+09);
INSERT INTO "tasks" VALUES(48,'create','27946b59-9e44-4fa7-8e91-f3527a1ef094','fake','new','{"name": "new", "description": "words", "memory": true, "quiesce": "Never", "locked": true, "expires": 4070908800, "spare": null}','Running','freeze',0,'{"step": "freeze", "frozen": true}','[["TaskEvent.1.0.TaskStarted",["48"]]]','{"HttpOperation": "POST", "TargetUri": "/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094/Oem/HawkFish/Snapshots", "HttpHeaders": ["Content-Type: application/json"], "JsonBody": "{\"Description\": \"words\", \"ExpiresTime\": \"2099-01-01T00:00:00Z\", \"IncludeMemory\": true, \"Locked\": true, \"Name\": \"new\", \"Quiesce\": \"Never\"}"}',NULL,NULL,'86f8b514e3a44187b4328f30cd94e8e1',1,1.79582963648649168017e+09,1.79582963648884916304e+09,NULL);
CREATE INDEX tasks_by_state ON tasks (state, system);
CREATE UNIQUE INDEX one_active_task_a_snapshot ON tasks (system, snapshot)
        WHERE state IN ('New', 'Running', 'Cancelling');
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('tasks',48);
INSERT INTO "sqlite_sequence" VALUES('events',20);
COMMIT;
