# fish completion for holdfast-client(8) and holdfast-server(8).
#
# Ids, links and services come from the running agent: the one that -c or --socket (anywhere in the
# line) names, else the one that the program finds by itself. tests/package checks every word against --help.

# The words of the line after the program that are neither options nor their values.
function __holdfast_places
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
        else if contains -- $word -c --config --socket --service --state --client --sort --limit --address --expires --out
            set skip 1
        else if not string match -q -- '-*' $word
            echo $word
        end
    end
end

# __holdfast_at N COMMAND...: N words stand already, the first of them one of the commands.
function __holdfast_at
    set -l places (__holdfast_places)
    test (count $places) -eq $argv[1]; and contains -- "$places[1]" $argv[2..-1]
end

function __holdfast_in
    set -l places (__holdfast_places)
    contains -- "$places[1]" $argv
end

function __holdfast_none
    test (count (__holdfast_places)) -eq 0
end

# __holdfast_ask KIND KEY: the values of KEY in the JSON of KIND, from the running agent.
function __holdfast_ask
    set -l line (commandline -op)
    set -l where
    for i in (seq 2 (count $line))
        switch $line[$i]
            case -c --config
                set where -c (string replace -r '^~' $HOME -- $line[(math $i + 1)])
            case --socket
                set where --socket (string replace -r '^~' $HOME -- $line[(math $i + 1)])
        end
    end
    timeout 2 $line[1] $argv[1] --json $where 2>/dev/null | grep -oE "\"$argv[2]\": *\"[^\"]*\"" |
        cut -d '"' -f 4 | sort -u
end

for program in holdfast-client holdfast-server
    complete -c $program -e
    complete -c $program -f
    complete -c $program -s c -l config -r -F -d 'Config file'
    complete -c $program -l socket -r -F -d "The running agent's admin socket"
    complete -c $program -s h -l help -d 'Print help'
    complete -c $program -n __holdfast_none -s V -l version -d 'Print the version'
    complete -c $program -l json -d 'Print JSON' \
        -n '__holdfast_none; or __holdfast_in check status connections connection links ready reload doctor'

    complete -c $program -n __holdfast_none -a check -d 'Check the config without starting'
    complete -c $program -n __holdfast_none -a status -d 'How the link and its connections are'
    complete -c $program -n __holdfast_none -a connections -d 'Every connection, or some of them'
    complete -c $program -n __holdfast_none -a connection -d "One connection's whole story"
    complete -c $program -n __holdfast_none -a links -d 'Every link'
    complete -c $program -n __holdfast_none -a kill -d 'End one connection'
    complete -c $program -n __holdfast_none -a drain -d 'Take no new connections, exit after the last'
    complete -c $program -n __holdfast_none -a undrain -d 'Take new connections again, before the exit'
    complete -c $program -n __holdfast_none -a restart -d 'Start the agent anew in the same process'
    complete -c $program -n __holdfast_none -a upgrade -d 'The same with another program'
    complete -c $program -n '__holdfast_in upgrade' -F
    complete -c $program -n __holdfast_none -a log-level -d 'Change what is logged, or print it'
    complete -c $program -n __holdfast_none -a ready -d 'Exit 0 when usable, 75 when not'
    complete -c $program -n __holdfast_none -a reload -d 'Apply a changed config'
    complete -c $program -n __holdfast_none -a nft -d 'Print, apply or remove the rules of nftables'
    complete -c $program -n __holdfast_none -a doctor -d 'Walk the way, stop at the first step that fails'
    complete -c $program -n __holdfast_none -a support -d 'Write one file for a bug report'
    complete -c $program -n '__holdfast_in support' -l out -r -F
    complete -c $program -n __holdfast_none -a genpsk -d 'Print a new pre-shared key'

    complete -c $program -n '__holdfast_in status connections links' -l watch -d 'Again and again'
    complete -c $program -n '__holdfast_in connections ready' -l service -x -a '(__holdfast_ask connections service)'
    complete -c $program -n '__holdfast_in connections' -l state -x -a 'opening open closing detached'
    complete -c $program -n '__holdfast_in connections' -l client -x
    complete -c $program -n '__holdfast_in connections' -l sort -x \
        -a 'opened age idle bytes up down rate unacked queued replayed detached resumes'
    complete -c $program -n '__holdfast_in connections' -l limit -x
    complete -c $program -n '__holdfast_in drain' -l until-empty -d 'However long it takes'
    complete -c $program -n '__holdfast_in drain' -l wait -d 'Return when the agent has ended'
    complete -c $program -n '__holdfast_in reload' -l dry-run -d 'Only tell what would change'
    complete -c $program -n '__holdfast_in reload' -l revoke -d 'End connections of what is not allowed any more'
    complete -c $program -n '__holdfast_in nft' -l apply -d 'Install them, in place of earlier ones'
    complete -c $program -n '__holdfast_in nft' -l remove -d 'Take exactly them away'
    complete -c $program -n '__holdfast_at 1 connection kill' -a '(__holdfast_ask connections id)'
    complete -c $program -n '__holdfast_at 1 log-level' -a 'error warn info debug trace'
end

complete -c holdfast-server -n __holdfast_none -a invite -d 'Add a client; print the line to join with'
complete -c holdfast-server -n __holdfast_none -a uninvite -d 'Take away what invite made'
complete -c holdfast-server -n '__holdfast_in invite' -l service -x
complete -c holdfast-server -n '__holdfast_in invite' -l address -x
complete -c holdfast-server -n '__holdfast_in invite' -l expires -x
complete -c holdfast-server -n '__holdfast_in invite' -l out -r -F
complete -c holdfast-server -n '__holdfast_in invite' -l no-start -d 'Do not start the unit'
complete -c holdfast-server -n '__holdfast_in uninvite' -l keep -d 'Its connections last until its carrier is lost'
complete -c holdfast-client -n __holdfast_none -a join -d 'Make key and config out of an invite, and start'
complete -c holdfast-client -n '__holdfast_in join' -l no-start -d 'Do not start the unit'
complete -c holdfast-client -n __holdfast_none -a connect -d 'Join standard input and output to a service'
complete -c holdfast-client -n '__holdfast_at 1 connect' -a '(__holdfast_ask connections service)'
complete -c holdfast-client -n __holdfast_none -a reconnect -d 'Replace the carrier; connections stay'
complete -c holdfast-client -n __holdfast_none -a link -d 'Hold a link down, or let it go'
complete -c holdfast-client -n '__holdfast_at 1 link' -a 'down up'
complete -c holdfast-client -n '__holdfast_at 1 reconnect; or __holdfast_at 2 link' -a '(__holdfast_ask links name)'
