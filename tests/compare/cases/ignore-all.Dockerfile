#: mkdir -p src/a; touch src/a/f src/g top Dockerfile2; printf '*\n!src\nsrc/g\n' >.dockerignore
FROM base
COPY . /all/
