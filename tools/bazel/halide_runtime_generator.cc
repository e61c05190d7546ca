// A generator program without a generator: `-r` makes it write the runtime alone.
