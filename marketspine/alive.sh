#!/bin/sh
# alive.sh NAME SECONDS: exit code 0 while NAME (ingest, calc, beat) has touched its alive file within so many seconds.
: "${MARKETSPINE_RUN_DIR:?set it to the folder of the alive files}" "${1:?name a process}"
touched=$(stat -c %Y "$MARKETSPINE_RUN_DIR/$1.alive") || exit 1
test $(($(date +%s) - touched)) -lt "${2:-180}"
