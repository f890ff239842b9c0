# Completion of chatctl for fish: chatctl completion fish > ~/.config/fish/completions/chatctl.fish
#
# What can stand at the cursor is asked of chatctl; fish quotes what it inserts.
function __chatctl_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l plain (string unescape -- "$current")
    or set plain $current
    set -l lines (command chatctl __complete fish -- $words "$plain" 2>/dev/null </dev/null)
    set -l kind $lines[1]
    set -e lines[1]
    switch "$kind"
        case files
            __fish_complete_path "$current"
        case commands
            __fish_complete_command
        case words
            test (count $lines) -gt 0
            and printf '%s\n' $lines
    end
end
complete -c chatctl -f -a '(__chatctl_complete)'
