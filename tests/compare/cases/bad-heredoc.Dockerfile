FROM base
RUN <<EOF
echo
