#compdef chatctl
# Completion of chatctl for zsh: source <(chatctl completion zsh) behind compinit, or this file as _chatctl in $fpath.
#
# What can stand at the cursor is asked of chatctl; zsh quotes what it inserts. (Q) takes quotes away and expands nothing.
_chatctl() {
    emulate -L zsh
    local -a lines values shown
    local line value
    lines=("${(@f)$(command chatctl __complete zsh -- "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null </dev/null)}")
    case ${lines[1]} in
    files)
        compset -P '--*='
        _files
        ;;
    commands) _command_names -e ;;
    words)
        for line in "${(@)lines[2,-1]}"; do
            value=${line%%$'\t'*}
            [[ -n $value ]] || continue
            values+=("$value")
            if [[ $line == *$'\t'* ]]; then
                shown+=("$value  -- ${line#*$'\t'}")
            else
                shown+=("$value")
            fi
        done
        compadd -l -M 'm:{a-zA-Z}={A-Za-z}' -d shown -a values
        ;;
    esac
}
if [[ ${funcstack[1]} == _chatctl ]]; then
    _chatctl "$@"
else
    compdef _chatctl chatctl
fi
