# bash completion for holdfast-client(8) and holdfast-server(8).
#
# Ids, links and services come from the running agent: the one that -c or --socket (anywhere in the
# line) names, else the one that the program finds by itself. tests/package checks every word against --help.

# What the running agent has: _holdfast_ask PROGRAM KIND KEY, the values of KEY in KIND's JSON.
_holdfast_ask() {
  local where=() i
  for ((i = 1; i + 1 < ${#COMP_WORDS[@]}; i++)); do
    case ${COMP_WORDS[i]} in
      -c | --config) where=(-c "${COMP_WORDS[i + 1]/#\~/$HOME}") ;;
      --socket) where=(--socket "${COMP_WORDS[i + 1]/#\~/$HOME}") ;;
    esac
  done
  timeout 2 "$1" "$2" --json "${where[@]}" 2>/dev/null | grep -oE "\"$3\": *\"[^\"]*\"" | cut -d '"' -f 4 |
    sort -u
}

_holdfast() {
  local program=$1 current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local commands='check status connections connection links kill drain undrain restart upgrade log-level ready reload nft genpsk doctor support'
  local options='-c --config --socket -h --help' choices='' command='' place=0 i
  [[ ${program##*/} == holdfast-client ]] && commands+=' connect join reconnect link'
  [[ ${program##*/} == holdfast-server ]] && commands+=' invite uninvite'

  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      -c | --config | --socket | --service | --state | --client | --sort | --limit | --address | --expires | --out)
        ((i++)) ;;
      -*) ;;
      *) if [[ -z $command ]]; then command=${COMP_WORDS[i]}; else ((place++)); fi ;;
    esac
  done

  case $previous in
    -c | --config | --socket | --out)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return
      ;;
    --service) choices=$(_holdfast_ask "$program" connections service) ;;
    --state) choices='opening open closing detached' ;;
    --sort) choices='opened age idle bytes up down rate unacked queued replayed detached resumes' ;;
    --client | --limit | --address | --expires) return ;;
  esac
  if [[ -n $choices || $previous == --service ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$current")
    return
  fi

  case $command in
    '') choices=$commands options+=' --json -V --version' ;;
    check | connection | doctor) options+=' --json' ;;
    ready) options+=' --json --service' ;;
    status | links) options+=' --json --watch' ;;
    connections) options+=' --json --watch --service --state --client --sort --limit' ;;
    drain) options+=' --until-empty --wait' ;;
    reload) options+=' --json --dry-run --revoke' ;;
    nft) options+=' --apply --remove' ;;
    invite) options+=' --service --address --expires --out --no-start' ;;
    uninvite) options+=' --keep' ;;
    join) options+=' --no-start' ;;
    support) options+=' --out' ;;
  esac
  if [[ $current == -* ]]; then
    choices=$options
  else
    case $command.$place in
      connection.0 | kill.0) choices=$(_holdfast_ask "$program" connections id) ;;
      connect.0) choices=$(_holdfast_ask "$program" connections service) ;;
      reconnect.0 | link.1) choices=$(_holdfast_ask "$program" links name) ;;
      link.0) choices='down up' ;;
      upgrade.0)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
      log-level.0) choices='error warn info debug trace' ;;
    esac
  fi
  mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$current")
}

complete -F _holdfast holdfast-client holdfast-server
