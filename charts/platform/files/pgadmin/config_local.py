"""pgAdmin behind the Ingress, in a cluster that need not reach anything outside."""

SERVER_MODE = True
DATA_DIR = "/data/pgadmin"
LOG_FILE = "/dev/null"  # its warnings go to the console as well
HELP_PATH = "https://www.pgadmin.org/docs/pgadmin4/latest/"  # an image may lack the manual

# What would ask the internet.
UPGRADE_CHECK_ENABLED = False
SHOW_GRAVATAR_IMAGE = False
LLM_ENABLED = False

# One user, with the password that the chart has made: no second factor, and nothing to be asked
# before the servers are shown.
MFA_ENABLED = False
MASTER_PASSWORD_REQUIRED = False
