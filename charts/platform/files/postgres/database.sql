-- One database and the roles around it, as often as it likes to run.
--   <database>_owner  owns schema and tables; nobody logs in as it, migrations SET ROLE to it
--   <database>_app    may read and write rows; users made by Vault are members of it
--   application user  reads and writes rows; becomes the owner only by SET ROLE (NOINHERIT)
--   vault             makes and drops users for Vault's database engine

-- A failing statement must not put a password into the server's log.
SET log_min_error_statement = panic;
SET client_min_messages = warning;

\getenv app_user APPLICATION_USERNAME
\getenv app_password APPLICATION_PASSWORD
\getenv vault_user VAULT_USERNAME
\getenv vault_password VAULT_PASSWORD
SELECT :'database' || '_owner' AS owner, :'database' || '_app' AS app \gset

SELECT format('CREATE ROLE %I', name)
FROM unnest(ARRAY[:'owner', :'app', :'app_user', :'vault_user']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

ALTER ROLE :"app_user" LOGIN NOINHERIT PASSWORD :'app_password';
ALTER ROLE :"vault_user" LOGIN CREATEROLE PASSWORD :'vault_password';
GRANT :"owner" TO :"app_user";
-- It hands out membership of both, and ends the sessions of users that it drops.
GRANT :"owner", :"app" TO :"vault_user" WITH ADMIN OPTION;
GRANT pg_signal_backend TO :"vault_user";

SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'owner')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
ALTER DATABASE :"database" OWNER TO :"owner";
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE :"database" TO :"app", :"app_user";
GRANT CONNECT ON DATABASE :"database" TO :"vault_user";

\connect :"database"
SET client_min_messages = warning;
ALTER SCHEMA public OWNER TO :"owner";
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO :"app", :"app_user";

-- What the owner makes from now on, in any schema, the application may use.
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner"
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"app", :"app_user";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner"
  GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO :"app", :"app_user";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" GRANT USAGE ON SCHEMAS TO :"app", :"app_user";
