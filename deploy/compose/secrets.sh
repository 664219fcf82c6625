#!/bin/sh
# Makes the secrets of compose.yaml, each in a file of its own; what is there already stays.
#
#   sh deploy/compose/secrets.sh [FOLDER]     (default: var/secrets)
#
# Compose mounts each file as it is, with its owner and mode, and the containers run as users of their own. So the files
# can be read by all, and the folder is its owner's alone: nobody else on this machine gets at them.
set -eu
folder=${1:-var/secrets}
mkdir -p "$folder"
chmod 700 "$folder"

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

make() { # make NAME VALUE
    [ -e "$folder/$1" ] && return
    printf %s "$2" > "$folder/$1.new"
    chmod 444 "$folder/$1.new"
    mv "$folder/$1.new" "$folder/$1"
    echo "made $folder/$1"
}

make secret_key "$(random)$(random)"
make metrics_token "$(random)"
make grafana_password "$(random)"
make postgres_password "$(random)"
make database_url "postgresql://marketspine:$(cat "$folder/postgres_password")@postgres:5432/marketspine"
make redis_conf "requirepass $(random)"
make broker_url "redis://:$(sed -n 's/^requirepass //p' "$folder/redis_conf")@redis:6379/0"
make finra_client_secret ""  # yours, where you have credentials for FINRA's API
