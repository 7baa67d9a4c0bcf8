# Completion of kiln for bash: commands and options are what kiln --help says.
_kiln() {
    local word=${COMP_WORDS[COMP_CWORD]} command= w
    for w in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        [[ $w != -* ]] && command=$w && break
    done
    local commands options
    commands=$(kiln --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
    if [[ $word == -* ]]; then
        if [[ -n $command ]] && grep -qx -- "$command" <<<"$commands"; then
            options=$(kiln "$command" --help 2>/dev/null | sed -n 's/^  \(-[-a-z]*\).*/\1/p')
        else
            options=$(kiln --help 2>/dev/null | sed -n 's/^  \(-[-a-z]*\).*/\1/p')
        fi
        COMPREPLY=($(compgen -W "$options" -- "$word"))
    elif [[ -z $command ]]; then
        COMPREPLY=($(compgen -W "$commands" -- "$word") $(compgen -f -- "$word"))
    elif [[ $command == cache ]]; then
        COMPREPLY=($(compgen -W "ls stats clear verify bundle" -- "$word"))
    else
        COMPREPLY=($(compgen -f -- "$word"))
    fi
}
complete -o filenames -F _kiln kiln
