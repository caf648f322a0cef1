#: mkdir src; touch src/f a; printf 'Dockerfile\n.dockerignore\n**/f\n' >.dockerignore
FROM base
COPY . /all/
