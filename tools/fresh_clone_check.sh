#!/usr/bin/env bash
# What a newcomer gets: clones HEAD into a temporary folder, runs `make demo` and `make test` there, and says what
# happened. To be run before a release.
# usage: tools/fresh_clone_check.sh [target...]     (default: demo test)
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 2

targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(demo test)
folder=$(mktemp -d)
logs=$(mktemp -d)
git clone --quiet . "$folder/fastkv" || exit 2
echo "commit $(git -C "$folder/fastkv" rev-parse --short HEAD), $(git -C "$folder/fastkv" ls-files | wc -l) files, $(du -sh "$folder/fastkv/.git" | cut -f1) of history"

worst=0
for target in "${targets[@]}"; do
  start=$SECONDS
  # Without a compiler cache, so that the time is that of a new machine.
  CCACHE_DISABLE=1 make -C "$folder/fastkv" --no-print-directory "$target" < /dev/null > "$logs/$target.log" 2>&1
  rc=$?
  tail -n 12 "$logs/$target.log"
  echo "make $target: exit status $rc after $((SECONDS - start)) s"
  [ $rc -eq 0 ] || worst=1
done
changed=$(git -C "$folder/fastkv" status --porcelain)
if [ -n "$changed" ]; then
  echo "left behind in the work tree:"
  echo "$changed"
  worst=1
fi
if [ $worst -eq 0 ]; then rm -rf "$folder" "$logs"; else echo "kept: $folder/fastkv, logs in $logs"; fi
exit $worst
