# shellcheck shell=bash
# How tests/run and bench/run build without leaving a trace in the clone: from a copy of it.

# copy_sources CLONE DIR: copies what is, or could be, committed, unless the copy is the same already: so
# "make" in a copy renewed builds what has changed, and nothing else.
copy_sources() {
  local file
  git -c safe.directory='*' -C "$1" ls-files -z --cached --others --exclude-standard --deduplicate |
    while IFS= read -r -d '' file; do
      [ -e "$1/$file" ] || continue
      cmp -s "$1/$file" "$2/$file" && continue
      mkdir -p "$(dirname "$2/$file")" && cp --preserve=mode "$1/$file" "$2/$file" || return
    done
  [ -e "$2/configure.ac" ]
}
