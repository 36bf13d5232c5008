# shellcheck shell=bash
# Completion of the evdurable command: installed as bash-completion/completions/evdurable.

_evdurable() {
  local common='--url --table --json --help' rows='--status --task --parent --root --executor
    --older-than --newer-than' command='' word words=''
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local commands='migrate check stats list show enqueue import export prune doctor help'
  local before=''
  COMPREPLY=()

  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case " $commands " in *" $word "*) command=$word; break ;; esac
  done

  # "--option=value" comes as three words.
  if [[ $current == = ]]; then
    current=''
  elif [[ $previous == = ]]; then
    previous=${COMP_WORDS[COMP_CWORD - 2]}
  fi

  case $previous in
    --status)
      if [[ $current == *,* ]]; then
        before=${current%,*},
        current=${current##*,}
      fi
      words='ready running failed timed_out waiting_for_children waiting_for_finalize
        finalize_failed completed cancelled active finished'
      ;;
    --engine) words='sqlite postgres mysql' ;;
    --write)
      mapfile -t COMPREPLY < <(compgen -d -- "$current")
      return
      ;;
    --from | --url | --table | --task | --parent | --root | --executor | --older-than | --newer-than | --limit | \
      --batch | --nodes | --input | --id | --delay | --timeout | --max-attempts | --retry-options | \
      --sleeping) return ;;
    *)
      case $command in
        '') words="$commands $common --version" ;;
        help) words=$commands ;;
        migrate)
          words="up status sql $common --concurrently --strict --no-strict --framework --engine --write --from"
          ;;
        list) words="$common $rows --limit" ;;
        export) words="$common $rows" ;;
        show) words="$common --nodes" ;;
        stats) words="$common --watch" ;;
        enqueue)
          words="$common --input --id --delay --timeout --max-attempts --retry-options --sleeping"
          words+=" --sql --engine --framework"
          ;;
        import)
          words="$common --skip-duplicates --keep-going"
          [[ $current == -* ]] || mapfile -t COMPREPLY < <(compgen -f -- "$current")
          ;;
        prune) words="$common --older-than --dry-run --batch --limit" ;;
        *) words=$common ;;
      esac
      ;;
  esac
  local matches
  mapfile -t matches < <(compgen -P "$before" -W "$words" -- "$current")
  COMPREPLY+=("${matches[@]}")
}

complete -F _evdurable evdurable
