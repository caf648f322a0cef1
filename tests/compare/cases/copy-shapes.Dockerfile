#: mkdir -p dir/sub; echo f >dir/f; echo g >dir/sub/g; chmod 640 dir/f; chmod 750 dir dir/sub; ln -s f dir/link
#: echo 1 >one.txt; echo 2 >two.txt; chmod 600 two.txt; echo h >.hidden; touch -d @1500000000 one.txt dir/f dir
#t /a/one.txt
#t /dir/f
FROM base
COPY one.txt /
COPY one.txt /renamed
COPY one.txt /a/
COPY one.txt two.txt /b/
COPY dir /dir
COPY dir/ /dir2/
COPY dir /dir3/
COPY dir dir/ one.txt /dir4/
COPY *.txt /txt/
COPY dir/* /star/
COPY . /all
COPY .hidden /h
COPY one.txt rel
COPY ["one.txt", "/json name"]
COPY dir/sub/g /deep/er/x
COPY ./dir/../one.txt /norm/
COPY /one.txt /abs/
COPY ?n[a-o].txt /cls/
