# Completion of chatctl for bash 4.4 and later: source <(chatctl completion bash)
#
# What can stand at the cursor is asked of chatctl. Its answers are quoted already, and go into an array line by line: nothing that
# anybody is called is ever expanded.
_chatctl() {
    local kind
    mapfile -t COMPREPLY < <(command chatctl __complete bash -- "${COMP_LINE:0:COMP_POINT}" "$1" "$2" 2>/dev/null </dev/null)
    kind=${COMPREPLY[0]}
    COMPREPLY=("${COMPREPLY[@]:1}")
    case $kind in
    files) compopt -o default -o filenames ;;
    commands) mapfile -t COMPREPLY < <(compgen -c -- "$2") ;;
    esac
}
complete -o nosort -F _chatctl chatctl
