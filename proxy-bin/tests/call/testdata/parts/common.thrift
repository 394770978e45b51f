struct Stock { 1: i32 left }

exception Closed { 1: string until }
