#!/bin/sh
# Instead of the compiler: gives the flags in AMIDA_FUZZ_FLAGS to Amida's own crates only.
case " $* " in
    *" --crate-name amida"*" --target "* | *" --crate-name store_ops "*)
        # shellcheck disable=SC2086 # several flags
        exec "$@" $AMIDA_FUZZ_FLAGS ;;
    *) exec "$@" ;;
esac
