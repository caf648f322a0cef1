#: mkdir -p keep/deep drop/sub node_modules/x; touch keep/a keep/b.log keep/deep/c.log drop/b drop/c drop/sub/d x.log y.tmp node_modules/x/y .git Makefile keep/deep/README.md README.md
#: printf '# comment\n*.log\n**/deep/*.log\ndrop\n!drop/c\n!drop/sub\n/y.tmp\nnode_modules/\n.git\n*.md\n!README.md\n' >.dockerignore
FROM base
COPY . /all/
COPY drop /drop
COPY keep /keep
